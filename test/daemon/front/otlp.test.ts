import { expect, it } from 'vitest';
import { traceWish } from '../../../daemon/front/otlp.ts';

const endpoint = 'OTEL_EXPORTER_OTLP_ENDPOINT';
const own = 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';
const urlOf = (env: Record<string, string>, configured?: string): string | undefined =>
  traceWish(new Map(Object.entries(env)), { otlpEndpoint: configured })?.target.url;

it('goes where the command says, else where the configuration says, else nowhere', () => {
  expect(urlOf({})).toBeUndefined();
  expect(urlOf({}, 'http://c:4318/')).toBe('http://c:4318/v1/traces');
  expect(urlOf({ [endpoint]: 'http://e:4318' }, 'http://c:4318')).toBe('http://e:4318/v1/traces');
  expect(urlOf({ [endpoint]: 'http://e:4318', [own]: 'https://t/x' })).toBe('https://t/x');
});

it.each([
  { OTEL_SDK_DISABLED: 'true' },
  { OTEL_TRACES_EXPORTER: 'none' },
  { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
  { TRACEPARENT: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00` },
  { [endpoint]: 'not a url' },
])('goes nowhere with %o', (more) => {
  expect(urlOf({ [endpoint]: 'http://e:4318', ...more })).toBeUndefined();
});

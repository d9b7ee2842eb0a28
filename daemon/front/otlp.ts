/**
 * A job as an OpenTelemetry trace, and where it goes. The format is OTLP's JSON (opentelemetry-proto, trace/v1), which
 * collectors take at /v1/traces beside protobuf; the variables are those of the OpenTelemetry specification
 * (configuration/sdk-environment-variables, protocol/exporter), read from the command's own environment. Pure.
 */
import type { Config } from '../../src/config/schema.ts';
import type { JournalLine } from '../journal/record.ts';
import { commandWords, reasonWords } from '../journal/words.ts';

type Environment = ReadonlyMap<string, string>;

export type Target = {
  readonly url: string;
  /** May hold a token: never logged. */
  readonly headers: Readonly<Record<string, string>>;
};

export type TraceWish = {
  readonly target: Target;
  /** The span that the command is part of (TRACEPARENT, W3C Trace Context). */
  readonly parent?: { readonly trace: string; readonly span: string } | undefined;
};

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `key=value,key=value`, values percent-encoded. */
function headersOf(text: string): Record<string, string> {
  const pairs = text.split(',').flatMap((pair) => {
    const at = pair.indexOf('=');
    return at <= 0 ? [] : [[pair.slice(0, at).trim(), unescaped(pair.slice(at + 1).trim())]];
  });
  return Object.fromEntries(pairs) as Record<string, string>;
}

const isHttp = (url: string): boolean => /^https?:\/\/[^/]/.test(url);

/** Where traces of a command go; undefined: nowhere. The command's environment counts before the configuration. */
function targetOf(env: Environment, { otlpEndpoint }: Config['traces']): Target | undefined {
  const value = (name: string): string => env.get(name)?.trim() ?? '';
  if (value('OTEL_SDK_DISABLED').toLowerCase() === 'true') return undefined;
  const exporter = value('OTEL_TRACES_EXPORTER');
  if (exporter !== '' && !exporter.split(',').includes('otlp')) return undefined;
  const protocol =
    value('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') || value('OTEL_EXPORTER_OTLP_PROTOCOL');
  const own = value('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT');
  const base = value('OTEL_EXPORTER_OTLP_ENDPOINT');
  // An endpoint that speaks only gRPC understands nothing of this.
  const given = protocol === 'grpc' ? '' : own || (base && `${base.replace(/\/+$/, '')}/v1/traces`);
  const headers = headersOf(
    value('OTEL_EXPORTER_OTLP_TRACES_HEADERS') || value('OTEL_EXPORTER_OTLP_HEADERS'),
  );
  if (isHttp(given)) return { url: given, headers };
  if (otlpEndpoint === undefined) return undefined;
  return { url: `${otlpEndpoint.replace(/\/+$/, '')}/v1/traces`, headers };
}

/** `00-TRACE-SPAN-FLAGS` */
const traceparent = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** Undefined where no trace is wanted, also by a parent that is not sampled. */
export function traceWish(env: Environment, traces: Config['traces']): TraceWish | undefined {
  const target = targetOf(env, traces);
  if (target === undefined) return undefined;
  const [, trace, span, flags] = traceparent.exec(env.get('TRACEPARENT')?.trim() ?? '') ?? [];
  if (trace === undefined || span === undefined || flags === undefined) return { target };
  return (Number.parseInt(flags, 16) & 1) === 0 ? undefined : { target, parent: { trace, span } };
}

const phaseNames = ['queue', 'scan', 'sync', 'start', 'run', 'return'] as const;

type Value = string | number | boolean;

function attribute([key, value]: readonly [string, Value]): unknown {
  if (typeof value === 'string') return { key, value: { stringValue: value } };
  if (typeof value === 'boolean') return { key, value: { boolValue: value } };
  // 64-bit numbers are decimal strings in OTLP's JSON.
  return { key, value: { intValue: String(Math.round(value)) } };
}

function attributesOf(line: JournalLine): unknown[] {
  const { sent, received, output } = line.bytes;
  const all: readonly (readonly [string, Value | null | undefined])[] = [
    ['rch.job', line.id],
    ['rch.decision', line.decision],
    ['rch.reason', reasonWords(line)],
    ['rch.worker', line.worker],
    ['rch.project', line.name],
    ['rch.joined', line.joined],
    ['rch.fallback', line.fallback],
    ['rch.bytes.sent', sent],
    ['rch.bytes.received', received],
    ['rch.bytes.output', output],
    ['process.executable.name', line.tool],
    ['process.exit.code', line.exit],
    ['rch.signal', line.signal],
  ];
  return all.flatMap(([key, value]) => (value == null ? [] : [attribute([key, value])]));
}

/** OTLP's status codes: 0 unset, 2 error. */
function statusOf({ exit, signal, lost, reason, argv, kind }: JournalLine): unknown {
  if (lost === true) return { code: 2, message: reasonWords({ reason, argv, kind }) };
  if (signal !== null) return { code: 2, message: `signal ${signal}` };
  return exit === null || exit === 0 ? { code: 0 } : { code: 2, message: `exit ${exit}` };
}

/** `newSpan` gives 16 hex digits, another each time. */
export function spansOf(
  line: JournalLine,
  parent: TraceWish['parent'],
  newSpan: () => string,
): unknown[] {
  const begin = Date.parse(line.startedAt);
  const at = (ms: number): string => String(BigInt(Math.round((begin + ms) * 1000)) * 1000n);
  // A job's id is as long as a trace's, and as random.
  const traceId = parent?.trace ?? line.id;
  const root = newSpan();
  let from = 0;
  const children = phaseNames.flatMap((name) => {
    const ms = line.phases[name];
    if (ms === undefined) return [];
    const span = {
      traceId,
      spanId: newSpan(),
      parentSpanId: root,
      name,
      kind: 1,
      startTimeUnixNano: at(from),
      endTimeUnixNano: at(from + ms),
    };
    from += ms;
    return [span];
  });
  const whole = {
    traceId,
    spanId: root,
    ...(parent === undefined ? {} : { parentSpanId: parent.span }),
    name: commandWords(line),
    kind: 1,
    startTimeUnixNano: at(0),
    endTimeUnixNano: at(Math.max(from, line.phases.total ?? 0)),
    attributes: attributesOf(line),
    status: statusOf(line),
  };
  return [whole, ...children];
}

/** The body of a request. */
export function exportOf(spans: readonly unknown[], version: string, host: string): unknown {
  const resource = [
    ['service.name', 'rch'],
    ['service.version', version],
    ['host.name', host],
  ] as const;
  const scope = { name: 'rch', version };
  return {
    resourceSpans: [
      { resource: { attributes: resource.map(attribute) }, scopeSpans: [{ scope, spans }] },
    ],
  };
}

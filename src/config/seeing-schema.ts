/** The settings of what others may see of rch: metrics, traces, and how long decisions are remembered. */
import { z } from 'zod';
import { key } from './key.ts';

export const metrics = z
  .strictObject({
    enabled: key(
      z.boolean().default(false),
      'Prometheus may fetch metrics from `http://127.0.0.1:9090/metrics`; off: no port is open and nothing is counted',
      { plan: '`true`' },
    ),
    prometheusPort: key(
      z.number().int().min(0).max(65_535).default(9090),
      'the port of metrics; 0: any that is free, which `rch status` shows',
      { plan: 'same' },
    ),
    prometheusAddress: key(
      z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1'),
      'the address of metrics; anybody who reaches it may read them',
    ),
    historyRetentionDays: key(
      z.number().int().min(1).max(36_500).default(30),
      'how long decisions are remembered (`rch history`)',
      { plan: 'same' },
    ),
  })
  .prefault({});

export const traces = z
  .strictObject({
    otlpEndpoint: key(
      z.url({ protocol: /^https?$/ }).optional(),
      'an OpenTelemetry collector that gets a trace of each job, such as `http://127.0.0.1:4318`; the `OTEL_` variables of a command come first',
      { shown: 'none', example: 'http://127.0.0.1:4318' },
    ),
  })
  .prefault({});

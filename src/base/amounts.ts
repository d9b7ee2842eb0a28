/** Amounts of bytes for people to read. */

/** `1234567` as `1.2 MB`; decimal units, as disks and networks are sold. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? value.toFixed(0) : value.toFixed(1)} ${units[unit] ?? 'B'}`;
}

/** `12 s` or `3 min`. */
function formatLeft(seconds: number): string {
  return seconds < 100 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}

/** `12.0 MB of 44.5 MB, 8.1 MB/s, 5 s left`; `rate` in bytes a second. */
export function formatProgress(done: number, total: number, rate: number): string {
  const left = rate > 0 && total > done ? `, ${formatLeft((total - done) / rate)} left` : '';
  return `${formatBytes(done)} of ${formatBytes(total)}, ${formatBytes(rate)}/s${left}`;
}

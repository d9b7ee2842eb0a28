/** Notices that a peer says nothing any more, whatever TCP thinks of the connection: its machine may be gone. */

/** Heartbeats that a link may miss, and the least silence that counts, ms. */
const SILENT_BEATS = 6;
const LEAST_SILENCE = 5000;

export class SilenceWatch {
  readonly #timer: NodeJS.Timeout;
  #heard = performance.now();

  /** `heartbeat`: seconds between two of its pings. `gone` is called at most once. */
  constructor(heartbeat: number, gone: (seconds: number) => void) {
    const silence = Math.max(LEAST_SILENCE, heartbeat * 1000 * SILENT_BEATS);
    let looked = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      // Whoever stood still ourselves (a stopped agent) has not listened either.
      if (now - looked > silence / 2) this.#heard = now;
      looked = now;
      if (now - this.#heard < silence) return;
      this.stop();
      gone(Math.round(silence / 1000));
    }, silence / 4);
  }

  heard(): void {
    this.#heard = performance.now();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

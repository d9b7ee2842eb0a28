/** Host and port as people write them: an IPv6 address in brackets (RFC 3986, 3.2.2) where a port follows. */

/** `host:port`, in which the port can be told from the host. */
export function withPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A host without the brackets of an address, which ssh itself does not take. */
export function withoutBrackets(host: string): string {
  return /^\[(.*:.*)\]$/.exec(host)?.[1] ?? host;
}

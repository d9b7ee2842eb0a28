/**
 * Which processes and files a process sees. Two with the same view mean the same by a pid and by a path; a container, a
 * chroot or a sandbox has another one.
 */
import { statSync } from 'node:fs';

/**
 * `pid:INODE mnt:INODE root:DEVICE:INODE`, of namespaces(7) and of `/`; the launcher writes the same (look_around in
 * shims/launcher/ask.h). Empty where it cannot be told.
 */
export function ownView(): string {
  try {
    const inode = (path: string): bigint => statSync(path, { bigint: true }).ino;
    const root = statSync('/', { bigint: true });
    return `pid:${inode('/proc/self/ns/pid')} mnt:${inode('/proc/self/ns/mnt')} root:${root.dev}:${root.ino}`;
  } catch {
    return '';
  }
}

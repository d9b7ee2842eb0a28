#!/bin/sh
# sandbox.sh CARRIED COMMAND…: runs the command in namespaces without network, where CARRIED (a folder that holds
# copies of roots under their absolute paths, in ro/ and rw/) stands over this machine and all homes are hidden.
# LIST in the environment names lines "ro|rw PATH", outermost first.
set -e
carried=$1
shift
mount --make-rprivate /
mkdir -p /mnt
mount -t tmpfs none /mnt
mkdir /mnt/carried
mount --bind "$carried" /mnt/carried
mount -t tmpfs none "$HOME"
echo "$LIST" | while read -r kind path; do
  mkdir -p "$path"
  mount --bind "/mnt/carried/$kind$path" "$path"
  [ "$kind" = rw ] || mount -o remount,bind,ro "$path"
done
cd "$DIRECTORY"
exec "$@"

#!/usr/bin/env bash
# Installs rch for the user who runs it: builds it here, and puts it into one folder.
# Every shell reads these lines: `sh install.sh` goes on by bash.
if [ -z "${BASH_VERSION:-}" ]; then
  if [ -f "$0" ] && command -v bash >/dev/null; then exec bash "$0" "$@"; fi
  echo "install.sh: run it by bash, in the folder of the sources: ./install.sh" >&2
  exit 1
fi
set -euo pipefail
# What is installed is its owner's to change, whatever the caller's mask; one that is stricter for others stays so.
umask u=rwx,go-w

top=$(cd "$(dirname "$0")" && pwd)
prefix=${HOME:?HOME is not set}/.local
prefix_given=no
demo=no
fleet=no
easy=no
worker_only=no
profile=yes
uninstall=no
purge=no

usage() {
  cat <<'END'
Usage: ./install.sh [--demo] [--fleet] [--easy-mode] [--prefix DIR] [--no-profile] [--from-source]
       ./install.sh --worker-only
       ./install.sh --uninstall [--purge]

Builds rch and installs it for this user. Shell profiles stay as they are: `rch shim install` adds the shims to
PATH when you want them, and `rch shim uninstall` takes them out again.

  --demo        after the installation, build a small C and a small Rust project through the shims on a worker
                that is a process of this machine, and show that the result equals a local build
  --fleet       then find the machines of your ssh_config and ssh aliases, take those you pick as workers, and
                install on them what they lack, after showing you what that is
  --easy-mode   without a question: put the shims first on PATH in your shell profiles, add the hook of a coding agent
                that is set up here, start the daemon with your session where systemd does that; with --fleet, take
                every machine that may become a worker, with the host keys they show
  --worker-only make this machine fit to be a worker of others, and say how they add it; nothing of rch is installed,
                as the agent comes by itself with the first connection
  --prefix DIR  install to DIR/share/rch and DIR/bin (default: $XDG_DATA_HOME/rch and ~/.local/bin)
  --no-profile  leave shell profiles as they are; that is so anyway, but for --easy-mode
  --from-source build from the sources here; that is so anyway
  --uninstall   stop the daemon and remove everything but your configuration
  --purge       with --uninstall: remove the configuration too
  --help        this text
END
}

say() { printf '%s\n' "$*"; }
die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

while [ $# -gt 0 ]; do
  case $1 in
    --demo) demo=yes ;;
    --prefix)
      [ $# -ge 2 ] || die "--prefix needs a folder"
      prefix=$2
      prefix_given=yes
      shift
      ;;
    --prefix=*)
      prefix=${1#--prefix=}
      prefix_given=yes
      ;;
    --fleet) fleet=yes ;;
    --easy-mode) easy=yes ;;
    --worker-only) worker_only=yes ;;
    --no-profile) profile=no ;;
    --from-source) ;;
    --uninstall) uninstall=yes ;;
    --purge) purge=yes ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) die "unknown option $1; see ./install.sh --help" ;;
  esac
  shift
done

case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac

# XDG Base Directory Specification: a relative path is to be ignored.
xdg() {
  local value=${!1:-}
  case $value in
    /*) printf '%s' "$value/rch" ;;
    *) printf '%s' "$HOME/$2/rch" ;;
  esac
}

if [ "$prefix_given" = yes ]; then
  home=$prefix/share/rch
else
  home=$(xdg XDG_DATA_HOME .local/share)
fi
bin=$prefix/bin
config=$(xdg XDG_CONFIG_HOME .config)
state=$(xdg XDG_STATE_HOME .local/state)
cache=$(xdg XDG_CACHE_HOME .cache)

# Folders that the installation made, so that uninstalling takes them away again when they are empty.
made=$home/lib/made

uninstall() {
  local node=$home/lib/node folders=() folder
  if [ ! -f "$home/lib/layout.json" ]; then
    # The folder of state comes and goes with an installation: where it is, one elsewhere has this configuration.
    if [ "$purge" = yes ] && [ -d "$config" ] && [ ! -e "$state" ]; then
      rm -rf "$config"
      say "no rch is installed in $home any more; removed $config"
    else
      say "no rch is installed in $home: nothing was removed (was it installed with --prefix?)"
    fi
    return
  fi
  [ -x "$node" ] || node=$(command -v node || true)
  if [ -f "$home/lib/rch.mjs" ] && [ -n "$node" ]; then
    "$node" "$home/lib/rch.mjs" hook uninstall --all || say "rch-hook could not be taken out of an agent's settings; see above"
    "$node" "$home/lib/rch.mjs" shim uninstall || say "the lines in your shell profiles could not be removed; see above"
    "$node" "$home/lib/rch.mjs" daemon disable >/dev/null || say "the systemd unit could not be removed; see above"
    "$node" "$home/lib/rch.mjs" daemon stop || say "the daemon could not be stopped; see above"
    # Where they are was decided when rch was installed.
    state=$(remembered state) cache=$(remembered cache) config=$(remembered config)
  fi
  for folder in "$state" "$cache" "$config"; do
    case $folder in
      /*) ;;
      *) die "$home/lib/layout.json names the folder \"$folder\": nothing was removed; install again, then uninstall" ;;
    esac
  done
  if [ -f "$made" ]; then mapfile -t folders <"$made"; fi
  rm -rf "$home"
  if [ -f "$bin/rch" ] && grep -qF "$home/lib/rch.mjs" "$bin/rch"; then rm -f "$bin/rch"; fi
  rm -rf "$state" "$cache"
  say "removed $home, $bin/rch, $state and $cache"
  if [ "$purge" = yes ]; then
    rm -rf "$config"
    say "removed $config"
  elif [ -d "$config" ]; then
    say "kept your configuration in $config (--purge removes it)"
  fi
  for folder in "${folders[@]}"; do rmdir "$folder" 2>/dev/null || true; done
}
remembered() {
  "$node" -p 'JSON.parse(fs.readFileSync(process.argv[1], "utf8"))[process.argv[2]]' "$home/lib/layout.json" "$1"
}

if [ "$uninstall" = yes ]; then
  uninstall
  exit 0
fi

# Installs Debian packages ($1: what for; then their names): root does, others are told the command.
install_packages() {
  local what=$1
  shift
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    say "installing Debian packages $what: $*"
    "$top/scripts/apt" update >/dev/null
    "$top/scripts/apt" install -y --no-install-recommends "$@" >/dev/null
  elif command -v apt-get >/dev/null; then
    die "missing: $*. Install them by: sudo apt-get install $*"
  else
    die "missing: $* (Debian's names). Install them with your package manager"
  fi
}

# What a worker has: sshd, the build tools, and a way to give commands the paths of the caller.
worker_only() {
  local packages=() address
  [ -x /usr/sbin/sshd ] || command -v sshd >/dev/null || packages+=(openssh-server)
  command -v gcc >/dev/null || packages+=(gcc)
  command -v g++ >/dev/null || packages+=(g++)
  [ -e /usr/include/stdio.h ] || packages+=(libc6-dev)
  command -v make >/dev/null || packages+=(make)
  command -v cmake >/dev/null || packages+=(cmake)
  command -v ninja >/dev/null || packages+=(ninja-build)
  command -v meson >/dev/null || packages+=(meson)
  command -v pkg-config >/dev/null || packages+=(pkg-config)
  unshare --user --map-root-user --mount --pid --fork true 2>/dev/null || command -v bwrap >/dev/null || packages+=(bubblewrap)
  [ ${#packages[@]} = 0 ] || install_packages 'for a worker' "${packages[@]}"
  address=$(hostname -I 2>/dev/null | cut -d ' ' -f 1) || true
  say "this machine is fit to be a worker. On your own machine:"
  say "  rch workers add --id $(hostname | tr -c 'A-Za-z0-9_.\n-' '-' | cut -c 1-32) --host ${address:-$(hostname)} --user $(id -un)"
  say "  rch workers setup ID    # compares its tools with yours, and tells what is missing still"
}

[ "$(uname -s)" = Linux ] || die "rch runs on Linux for now; this is $(uname -s)"

if [ "$worker_only" = yes ]; then
  worker_only
  exit 0
fi

packages=()
command -v cc >/dev/null || packages+=(gcc)
echo '#include <stdio.h>' | cc -E - >/dev/null 2>&1 || packages+=(libc6-dev)
command -v c++ >/dev/null || packages+=(g++)
command -v make >/dev/null || packages+=(make)
command -v python3 >/dev/null || packages+=(python3)
command -v ssh >/dev/null || packages+=(openssh-client)
# For the Rust half of the demo. A proxy of rustup without a toolchain is its owner's to set up.
if [ "$demo" = yes ] && ! command -v cargo >/dev/null; then
  if [ "$(id -u)" = 0 ]; then packages+=(cargo); fi
fi
[ ${#packages[@]} = 0 ] || install_packages 'to build rch' "${packages[@]}"

# Shims linked with musl start six times as fast, where a processor's questions are slow (virtual machines).
if ! command -v musl-gcc >/dev/null; then
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    say "installing Debian package: musl-tools (for shims that start faster)"
    { "$top/scripts/apt" update && "$top/scripts/apt" install -y --no-install-recommends musl-tools; } \
      >/dev/null 2>&1 || say "note: musl-tools could not be installed; the shims are linked with the system's libc"
  else
    say "note: with musl-gcc (Debian: sudo apt-get install musl-tools) and another ./install.sh the shims start faster"
  fi
fi

command -v node >/dev/null || die "Node 20 or newer is needed, and no 'node' is on PATH (Debian: apt-get install nodejs npm)"
node=$(node -p process.execPath)
major=$("$node" -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 20 ] || die "Node 20 or newer is needed; $node is $("$node" --version)"
command -v npm >/dev/null || die "npm is needed, and is not on PATH (Debian: apt-get install npm)"

say "building rch in $top"
"$top/scripts/packages"
(cd "$top" && "$node" scripts/build.mjs)

# Names the folders above $1 that are missing, deepest first.
missing() {
  local folder
  folder=$(dirname "$1")
  while [ ! -d "$folder" ]; do
    printf '%s\n' "$folder"
    folder=$(dirname "$folder")
  done
}
new=()
mapfile -t new < <({
  missing "$home"
  missing "$bin/rch"
  missing "$config"
  missing "$state"
  missing "$cache"
} | awk '!seen[$0]++ { print length, $0 }' | sort -rn | cut -d ' ' -f 2-)
install -d -m 755 "$home" "$home/lib" "$home/lib/native" "$home/lib/cases" "$bin"
install -d -m 700 "$home/run" "$state"
[ ${#new[@]} = 0 ] || printf '%s\n' "${new[@]}" >>"$made"
# Each file is replaced by a rename, so that commands which run meanwhile find the old one or the new one.
(cd "$top/dist/lib" && find . -type f -print0) | while IFS= read -r -d '' file; do
  cp "$top/dist/lib/$file" "$home/lib/$file.new"
  mv -f "$home/lib/$file.new" "$home/lib/$file"
done
ln -sfn "$node" "$home/lib/node"
ln -sfn rch-shim "$home/lib/rch-hook"
"$node" -e 'require("fs").writeFileSync(process.argv[1], JSON.stringify({ config: process.argv[2], state: process.argv[3], cache: process.argv[4] }) + "\n")' \
  "$home/lib/layout.json" "$config" "$state" "$cache"
cat >"$bin/rch.new" <<END
#!/bin/sh
exec "$home/lib/node" "$home/lib/rch.mjs" "\$@"
END
chmod 755 "$bin/rch.new"
mv -f "$bin/rch.new" "$bin/rch"
rch() { "$home/lib/node" "$home/lib/rch.mjs" "$@"; }
# The ids of the workers that are reached by ssh, a line each.
ssh_workers() {
  rch workers list --json | "$node" -e '
    for (const { id, transport } of JSON.parse(require("fs").readFileSync(0, "utf8"))) if (transport === "ssh") console.log(id);
  ' || say "the workers cannot be listed; see above" >&2
}
rch shim install --no-profile >/dev/null
if [ -S "$home/run/front.sock" ]; then rch daemon restart >/dev/null && say "restarted the daemon"; fi

say "installed:"
say "  $home   the programs, the shims and the daemon's sockets"
say "  $bin/rch   the command"
say "  $config   your configuration (workers.toml, config.toml), made when you add a worker"
if [ "$easy" = yes ]; then
  if [ "$profile" = no ]; then
    say "no shell profile was changed"
  else
    rch shim install || say "the shims are not on your PATH yet; see above, then: rch shim install"
  fi
  [ ! -d "$HOME/.claude" ] || rch hook install || say "the hook is not installed; see above, then: rch hook install"
  if systemctl --user show-environment >/dev/null 2>&1; then
    rch daemon enable || say "the daemon will not start by itself at login; see above, then: rch daemon enable"
  fi
else
  say "no shell profile was changed"
fi
case ":$PATH:" in
  *":$bin:"*) ;;
  *) say "note: $bin is not on your PATH; call $bin/rch, or add it" ;;
esac
if [ "$fleet" = yes ]; then
  say ""
  picks=() answers=() input=/dev/null
  if [ "$easy" = yes ]; then picks=(--yes --accept-host-key) answers=(--yes); fi
  if [ "$easy" = no ] && [ -t 0 ]; then input=/dev/tty; fi
  before=$(ssh_workers)
  rch workers discover "${picks[@]}" || say "no worker was added; later: rch workers discover"
  while IFS= read -r id; do
    # Those that were there are as their user wants them.
    if [ -z "$id" ] || grep -qxF -e "$id" <<<"$before"; then continue; fi
    say ""
    rch workers setup "$id" "${answers[@]}" <$input || say "$id is left as it is; see above"
  done <<<"$(ssh_workers)"
fi
if [ "$demo" = yes ]; then
  say ""
  rch demo
elif [ "$fleet" = no ] && [ -z "$(ssh_workers)" ]; then
  say ""
  say "next: rch workers add --id NAME --host HOST --user USER    then: rch shim install"
fi

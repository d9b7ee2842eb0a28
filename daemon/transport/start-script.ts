/** The script `start` that lies beside the agent on a worker: bridges stdio to the agent, starting it if need be. */
import { carryingNode } from '../../src/base/memory.ts';

/** Exit codes of `start attach`, beside those of rch-run. */
export const StartExit = {
  /** The agent did not come up in time; its log says why. */
  silent: 5,
  /** Neither the worker nor the folder `node` has a Node that the agent could run on. */
  noNode: 4,
} as const;

/** File systems that several machines may share, as stat(1) names them: a pattern of sh. */
const SHARED = 'nfs*|lustre|gpfs|fhgfs|beegfs|ceph|afs|panfs|cifs|smb*';
/** Sets `data` to where everything but the programs is. */
const CHOOSE_FOLDER = `data=$base
case $(stat -f -c %T "$base" 2>/dev/null) in
  ${SHARED}) data=$base/on/$(uname -n) ;;
esac`;

/** Tries, 0.05 s apart, for a started agent to listen. */
const TRIES = 200;

/**
 * Layout around it: BASE/agents/HASH/start, BASE/node/NODE/, BASE/run/HASH.sock, BASE/log/. `rch-run attach` exits
 * with 3 when nobody listens (shims/run.c).
 *
 * On a file system that several machines share (a home in a cluster) each of them has a folder of its own in BASE for all
 * but the programs: locks name processes of one machine, and a tree has one agent.
 *
 * The agent must outlive the session. Where logind kills what a session leaves behind (KillUserProcesses), it is
 * put into a scope of the user's own manager, which linger keeps alive. In a job of Slurm, which ends a step with all
 * that it started (srun(1)), it gets a step of its own, on all cores that the job has on this node: that stays as long
 * as the job, whatever becomes of its srun. Elsewhere a session of its own is enough.
 */
export function startScript(hash: string, node: string): string {
  return `#!/bin/sh
# start attach: a stream to the agent. start check: can programs run from this folder?
here=\${0%/*}
base=\${here%/agents/*}
${CHOOSE_FOLDER}
socket=$data/run/${hash}.sock
bundled=$base/node/${node}

[ "$1" = check ] && exec "$here/rch-run" probe >/dev/null

attach() {
  "$here/rch-run" attach "$socket"
  code=$?
  [ $code -eq 3 ] || exit $code
}

pick_node() {
  version=$(node -v 2>/dev/null)
  version=\${version#v}
  version=\${version%%.*}
  if [ "\${version:-0}" -ge 20 ] 2>/dev/null; then
    node=$(command -v node)
  elif [ -e "$bundled/ready" ]; then
    node=$bundled/node
    # For this Node alone: the agent gives what it starts the worker's own value again.
    export RCH_WKR_LIBRARY_PATH="\${LD_LIBRARY_PATH:-}"
    export LD_LIBRARY_PATH="$bundled/lib\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    touch "$bundled"
  else
    echo "rch: this worker has no Node 20 or newer" >&2
    exit ${StartExit.noNode}
  fi
}

spawn() {
  set -- "$node" ${carryingNode.join(' ')} "$here/rch-wkr.mjs" serve --folder "$data" --socket "$socket"
  if command -v loginctl >/dev/null 2>&1 &&
    [ "$(loginctl show-session --property=KillUserProcesses --value 2>/dev/null)" = yes ] &&
    loginctl enable-linger >/dev/null 2>&1 && systemd-run --user --scope --quiet true >/dev/null 2>&1; then
    set -- systemd-run --user --scope --quiet "$@"
  elif [ -n "\${SLURM_JOB_ID:-}" ] && command -v srun >/dev/null 2>&1; then
    set -- srun "--jobid=$SLURM_JOB_ID" "--nodelist=\${SLURMD_NODENAME:-localhost}" --overlap --nodes=1 --ntasks=1 \
      "--cpus-per-task=\${SLURM_CPUS_ON_NODE:-1}" --input=none --quiet "$@"
  fi
  if command -v setsid >/dev/null 2>&1; then set -- setsid "$@"; else set -- nohup "$@"; fi
  "$@" </dev/null >>"$data/log/start.log" 2>&1 &
}

attach
umask 077
mkdir -p "$data/run" "$data/log"
pick_node
touch "$here"
spawn
tries=0
while [ $tries -lt ${TRIES} ]; do
  sleep 0.05
  attach
  tries=$((tries + 1))
done
echo "rch: the agent did not start: $(tail -n 5 "$data/log/start.log" 2>/dev/null)" >&2
exit ${StartExit.silent}
`;
}

/** Flags by which compilers use instructions that not every CPU of an architecture has. Pure. */

/** What all CPUs of an architecture have, by the names that GCC, Clang and rustc know it by. */
const baseline = /^(x86-64|i[3-6]86|pentium4|generic|armv8-a|rv64gc)$/;

/** `-march=native`, `-mcpu=cortex-a72`; -mtune chooses no instructions, but looks at the CPU if it is native. */
const cpuFlag = /(?<![\w-])(?:-m(?:arch|cpu)=|-mtune=(?=native))([^\s"',;)]*)/g;

/** rustc's `-C target-cpu=haswell`, and its -Z tune-cpu. */
const targetCpu = /(?:target-cpu=|tune-cpu=(?=native))([^\s"',;)]*)/g;

/** GCC manual, "x86 Options"; what x86-64 has anyway (SSE2) is not among them, nor is what switches off. */
const featureFlag =
  /(?<![\w-])-m(?:s?sse3|sse4(?:\.[12]|a)?|avx[\w.-]*|fma4?|f16c|bmi2?|lzcnt|abm|popcnt|v?aes|v?pclmul(?:qdq)?|sha(?:512)?|gfni|adx|movbe|rdrnd|rdseed|xop|tbm|lwp|amx-\w+|rtm|sm[34]|movdiri|movdir64b)(?![\w.-])/g;

const targetFeatures = /target-feature=([^\s"';)]*)/g;

/** The flags in a text that ask for more than the baseline, as they stand there. */
export function cpuFlags(text: string): string[] {
  const found: string[] = [];
  for (const pattern of [cpuFlag, targetCpu])
    for (const [flag, value = ''] of text.matchAll(pattern))
      if (!baseline.test(value)) found.push(flag);
  for (const [flag] of text.matchAll(featureFlag)) found.push(flag);
  for (const [flag, list = ''] of text.matchAll(targetFeatures))
    // crt-static says how to link.
    if (list.split(',').some((each) => each.startsWith('+') && each !== '+crt-static'))
      found.push(flag);
  return found;
}

/** Whether a flag asks for the CPU of the machine at hand; one whose value is not known may, where that word is about. */
export function isNative(flag: string, wordIsAbout = false): boolean {
  return /=native/.test(flag) || (wordIsAbout && /=(.*\$.*)?$/.test(flag));
}

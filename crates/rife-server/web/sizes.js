// @ts-check
// Estimated sizes of results, from the bytes per frame of finished jobs on the same clip with the same options, such as previews.

/** Options that do not change the bytes per frame much. */
const IGNORED = ['start', 'end', 'confidence', 'device'];

/** Bytes per frame by clip and options. @type {Map<string, number>} */
const known = new Map();

/** Returns the key of a clip and options. @param {string} name @param {number} size @param {Record<string, any>} options */
const keyOf = (name, size, options) => JSON.stringify([name, size, Object.entries(options ?? {}).filter(([option]) => !IGNORED.includes(option)).toSorted()]);

/** Keeps the bytes per frame of a finished job. @param {any} job */
export function rememberSize(job) {
  const frames = job.summary?.frames_out;
  const [file] = job.files;
  if (job.kind === 'video' && job.state === 'done' && frames && file) known.set(keyOf(job.inputs[0].name, job.inputs[0].bytes, job.options), file.bytes / frames);
}

/** Returns the estimated bytes of a result; null where no job on this clip had these options. @param {{name: string, size?: number}} item @param {Record<string, any>} options @param {any} plan */
export function estimateSize(item, options, plan) {
  const each = known.get(keyOf(item.name, item.size ?? 0, options));
  return each && plan.output_frames ? each * plan.output_frames : null;
}

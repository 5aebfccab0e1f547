// @ts-check
// Form fields of each tab, with the values and ranges of docs/api.md.

import { t } from './text.js';

/** @typedef {import('./form.js').Field} Field */

/** Choices with translated labels. @param {...[string, string]} choices value and text key @returns {[string, string][]} */
const named = (...choices) => choices.map(([value, key]) => [value, t(key)]);
/** Choices whose labels are their values. @param {...string} values @returns {[string, string][]} */
const plain = (...values) => values.map((value) => [value, value]);
/** Choices of 1 to `last` passes. @param {number} last @param {string} text key of the label @returns {[string, string][]} */
const passes = (last, text) =>
  Array.from({ length: last }, (_, i) => [String(i + 1), t(text, { n: i + 1, x: 2 ** (i + 1), frames: 2 ** (i + 1) - 1 })]);

/** Fields of the network. @param {boolean} more whether the timestep method is under "More options" @returns {Field[]} */
const model = (more) => [
  { name: 'timestep_method', kind: 'choice', label: 'o_method', hint: 'o_method_hint', choices: named(['auto', 'o_method_auto'], ['direct', 'o_method_direct'], ['recursive', 'o_method_recursive']), value: 'auto', more },
  { name: 'model', kind: 'choice', label: 'o_model', choices: plain('default'), value: 'default', more: true },
  { name: 'scale', kind: 'choice', label: 'o_scale', hint: 'o_scale_hint', choices: plain('0.25', '0.5', '1', '2', '4'), value: 1, numeric: true, more: true },
  { name: 'device', kind: 'choice', label: 'o_device', choices: plain('cpu'), value: 'cpu', more: true },
  { name: 'precision', kind: 'choice', label: 'o_precision', hint: 'o_precision_hint', choices: plain('f32'), value: 'f32', more: true },
  { name: 'tta', kind: 'check', label: 'o_tta', hint: 'o_tta_hint', more: true },
  { name: 'ensemble', kind: 'check', label: 'o_ensemble', more: true },
];

/** Fields of container and encoder. @param {...string} types file types, an empty one for the source's @returns {Field[]} */
const encoding = (...types) => [
  { name: 'ext', kind: 'choice', label: 'o_ext', choices: types.map((type) => [type, type || t('o_ext_source')]), value: types[0] },
  { name: 'codec', kind: 'choice', label: 'o_codec', choices: [['', t('o_codec_usual')], ...plain('h264', 'h265', 'av1', 'vp9', 'prores', 'ffv1')], value: '', more: true },
  { name: 'crf', kind: 'number', label: 'o_crf', hint: 'o_crf_hint', min: 0, max: 63, more: true },
];

/** Fields of size and fit. @type {Field[]} */
const fitting = [
  { name: 'size', kind: 'text', label: 'o_size', hint: 'o_size_hint', more: true },
  { name: 'fit', kind: 'choice', label: 'o_fit', choices: named(['pad', 'o_fit_pad'], ['crop', 'o_fit_crop'], ['stretch', 'o_fit_stretch']), value: 'pad', more: true },
];

/** @returns {Field[]} */
export const video = () => [
  { name: 'by', kind: 'radio', label: 'o_rate_by', choices: named(['factor', 'o_rate_multiply'], ['fps', 'o_rate_fps'], ['passes', 'o_rate_passes']), value: 'factor', local: true },
  { name: 'factor', kind: 'number', label: 'o_factor', min: 1, max: 256, step: 'any', value: 2, needed: 'needs_factor', shown: (values) => values.by === 'factor' },
  { name: 'passes', kind: 'choice', label: 'o_passes', choices: passes(4, 'o_passes_video'), value: '1', numeric: true, shown: (values) => values.by === 'passes' },
  { name: 'fps', kind: 'text', label: 'o_fps', hint: 'o_fps_hint', value: '50', always: true, needed: 'needs_rate', shown: (values) => values.by === 'fps' },
  ...encoding('', 'mp4', 'mov', 'mkv', 'webm', 'gif'),
  { name: 'slow_motion', kind: 'check', label: 'o_slow', hint: 'o_slow_hint' },
  { name: 'stretch_audio', kind: 'check', label: 'o_stretch', shown: (values) => values.slow_motion },
  { name: 'start', kind: 'text', label: 'o_start', hint: 'o_start_hint', more: true },
  { name: 'end', kind: 'text', label: 'o_end', hint: 'o_end_hint', more: true },
  { name: 'confidence', kind: 'check', label: 'o_confidence', hint: 'o_confidence_hint' },
  ...model(true),
  { name: 'cut_threshold', kind: 'number', label: 'o_cut', hint: 'o_cut_hint', min: 0, max: 1, step: 0.05, value: 0.4, more: true, shown: (values) => !values.cut_list },
  { name: 'cut_list', kind: 'text', label: 'o_cut_list', hint: 'o_cut_list_hint', more: true },
  { name: 'cut_fill', kind: 'choice', label: 'o_cut_fill', choices: named(['repeat', 'o_cut_repeat'], ['blend', 'o_cut_blend']), value: 'repeat', more: true },
  { name: 'duplicates', kind: 'choice', label: 'o_duplicates', choices: named(['smooth', 'o_dup_smooth'], ['keep', 'o_dup_keep']), value: 'smooth', more: true },
  { name: 'mask_static', kind: 'choice', label: 'o_overlays', hint: 'o_overlays_hint', choices: named(['auto', 'o_overlays_auto'], ['off', 'o_overlays_off']), value: 'auto', more: true },
  { name: 'fallback', kind: 'choice', label: 'o_fallback', hint: 'o_fallback_hint', choices: named(['', 'o_fallback_none'], ['blend', 'o_fallback_blend'], ['hold', 'o_fallback_hold']), value: '', more: true },
  { name: 'fallback_below', kind: 'number', label: 'o_fallback_below', min: 0, max: 1, step: 'any', value: 0.3, more: true, shown: (values) => values.fallback !== '' },
  { name: 'deinterlace', kind: 'check', label: 'o_deinterlace', more: true },
  { name: 'inverse_telecine', kind: 'check', label: 'o_telecine', more: true },
  { name: 'video_only', kind: 'check', label: 'o_video_only', more: true },
  { name: 'montage', kind: 'check', label: 'o_montage', more: true },
];

/** @returns {Field[]} */
export const images = () => [
  { name: 'passes', kind: 'choice', label: 'o_passes', choices: passes(6, 'o_passes_between'), value: '2', numeric: true },
  { name: 'fps', kind: 'text', label: 'o_fps', hint: 'o_fps_hint', value: '25' },
  { name: 'loop', kind: 'check', label: 'o_loop' },
  { name: 'memory', kind: 'choice', label: 'o_memory', choices: named(['disk', 'o_memory_disk'], ['memory', 'o_memory_memory']), value: 'disk' },
  ...encoding('mp4', 'mov', 'mkv', 'webm', 'gif', 'webp', 'png'),
  ...fitting,
  ...model(true),
];

/** @returns {Field[]} */
export const chain = () => [
  { name: 'passes', kind: 'choice', label: 'o_passes', choices: passes(6, 'o_passes_between'), value: '2', numeric: true },
  { name: 'fps', kind: 'text', label: 'o_fps_chain', hint: 'o_fps_first', value: '' },
  ...model(false),
  { name: 'sound', kind: 'choice', label: 'o_sound', choices: named(['crossfade', 'o_sound_crossfade'], ['silence', 'o_sound_silence'], ['drop', 'o_sound_drop']), value: 'crossfade' },
  ...encoding('mp4', 'mov', 'mkv', 'webm', 'gif'),
  ...fitting,
  { name: 'deinterlace', kind: 'check', label: 'o_deinterlace', more: true },
];

/** @returns {Field[]} */
export const reencode = () => [
  { name: 'profile', kind: 'choice', label: 'o_profile', choices: named(['web', 'o_profile_web'], ['latentsync', 'o_profile_latentsync'], ['archive', 'o_profile_archive']), value: 'web' },
  { name: 'force', kind: 'check', label: 'o_force' },
  { name: 'crf', kind: 'number', label: 'o_crf', min: 0, max: 51, more: true },
  { name: 'deinterlace', kind: 'check', label: 'o_deinterlace', more: true },
];

/** @returns {Field[]} */
export const report = () => [
  ...model(true),
];

/** @type {Record<string, () => Field[]>} */
const KINDS = { video, images, chain, reencode, report };

/** Returns the settings of a job in words, one each; those that the page has no field for by their names.
 * @param {string} kind @param {Record<string, any>} options
 */
export function describeOptions(kind, options) {
  const fields = KINDS[kind]?.() ?? [];
  const { start, end } = options;
  const usual = (/** @type {Field | undefined} */ field, /** @type {any} */ value) => value === false || value === null || (field?.value !== undefined && !field.always && String(field.value) === String(value));
  const given = Object.entries(options).map(([name, value]) => ({ name, value, field: fields.find((one) => one.name === name) }));
  const part = start || end ? [`${t('part')}: ${start ?? 0} – ${end ?? '…'}`] : [];
  return part.concat(given.filter(({ name, field, value }) => !['start', 'end'].includes(name) && !usual(field, value)).map(({ name, value, field }) => {
    const label = field ? t(field.label) : name;
    if (value === true) return label;
    const shown = field?.choices?.find(([choice]) => choice === String(value))?.[1] ?? String(value);
    return `${label}: ${shown}`;
  }));
}

/** Options that the file name of a result has. */
const IN_NAMES = ['factor', 'passes', 'fps', 'start', 'end', 'ext'];

/** Returns the settings in which a job differs from others of its kind and clip, besides those in file names: also defaults.
 * @param {any} job @param {any[]} all jobs
 */
export function differences(job, all) {
  const [clip] = job.inputs ?? [];
  const same = all.filter(({ kind, inputs }) => kind === job.kind && inputs?.[0]?.name === clip?.name && inputs?.[0]?.bytes === clip?.bytes);
  const value = (/** @type {any} */ { options }, /** @type {Field} */ { name, kind, value: usual }) => options?.[name] ?? usual ?? (kind === 'check' ? false : '');
  const fields = (KINDS[job.kind]?.() ?? []).filter((field) => !field.local && !IN_NAMES.includes(field.name) && same.some((one) => String(value(one, field)) !== String(value(job, field))));
  return fields.map((field) => {
    const mine = value(job, field);
    if (typeof mine === 'boolean') return `${t(field.label)}: ${t(mine ? 'yes' : 'no')}`;
    return `${t(field.label)}: ${field.choices?.find(([choice]) => choice === String(mine))?.[1] ?? (mine === '' ? '–' : mine)}`;
  });
}

/** Returns the settings of a job that the file name of its result does not have. @param {any} job */
export function otherSettings({ kind, options }) {
  return describeOptions(kind, Object.fromEntries(Object.entries(options ?? {}).filter(([name]) => !IN_NAMES.includes(name))));
}

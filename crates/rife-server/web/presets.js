// @ts-check
// Presets of the tab Video: named sets of options for common uses.

import { el, say } from './dom.js';
import { t } from './text.js';

/** Values of fields by preset; fields that a preset does not name get their defaults. @type {Record<string, Record<string, any>>} */
const PRESETS = {
  double: { by: 'factor', factor: 2 },
  lips: { by: 'fps', fps: '50', ext: 'mp4' },
  film: { by: 'fps', fps: '60' },
  slow: { by: 'factor', factor: 4, slow_motion: true, stretch_audio: true },
  anime: { by: 'factor', factor: 2, duplicates: 'smooth' },
  tape: { by: 'factor', factor: 2, deinterlace: true },
  screen: { by: 'fps', fps: '60', mask_static: 'auto', cut_threshold: 0.6 },
  gif: { by: 'factor', factor: 2, ext: 'gif' },
};

/** Creates the row of presets of a form. @param {import('./form.js').Form} form */
export function presets(form) {
  /** The last chosen preset, since two may have the same values. */
  let last = '';
  const buttons = Object.entries(PRESETS).map(([name, values]) => {
    const button = el('button', { className: 'plain preset', type: 'button', 'aria-pressed': 'false', onclick: () => {
      const { start, end } = form.values;
      last = name;
      form.restore({});
      form.set({ ...values, start, end });
      say(t('preset_chosen', { name: t(`preset_${name}`) }));
    } }, el('b', {}, t(`preset_${name}`)), el('span', { className: 'hint' }, t(`preset_${name}_hint`)));
    return { name, values, button };
  });
  /** Marks the preset that the form's values equal. */
  const mark = () => {
    const now = form.values;
    const equal = buttons.filter(({ values }) => {
      const changed = form.fields.filter(({ name, kind, value, local }) => !local && !(name in values) && !['start', 'end', 'factor', 'fps', 'passes'].includes(name)
        && String(now[name]) !== String(value ?? (kind === 'check' ? false : '')));
      return changed.length === 0 && Object.entries(values).every(([name, value]) => String(now[name]) === String(value));
    });
    const marked = equal.find(({ name }) => name === last) ?? equal[0];
    for (const one of buttons) one.button.setAttribute('aria-pressed', String(one === marked));
  };
  return { element: el('div', { className: 'presets', role: 'group', 'aria-label': t('presets') }, ...buttons.map(({ button }) => button)), mark };
}

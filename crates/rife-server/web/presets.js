// @ts-check
// Presets of the tab Video: named sets of options for common uses, and own ones, which are saved on the server.

import { call } from './api.js';
import { el, notice, say } from './dom.js';
import { picture } from './svg.js';
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
/** Milliseconds in which the deletion of a preset can be undone. */
const UNDO_MS = 30_000;
/** Fields that belong to a clip, not to a preset. */
const OF_CLIP = ['start', 'end', 'cut_list'];

/** Presets of a form. @param {import('./form.js').Form} form */
export function presets(form) {
  /** The last chosen preset, since two may have the same values. */
  let last = '';
  const choose = (/** @type {string} */ name, /** @type {string} */ shown, /** @type {Record<string, any>} */ values) => {
    const now = form.values;
    const kept = Object.fromEntries(OF_CLIP.map((field) => [field, now[field]]));
    last = name;
    form.restore(values);
    form.set({ ...values, ...kept });
    say(t('preset_chosen', { name: shown }));
  };
  const buttons = Object.entries(PRESETS).map(([name, values]) => {
    const button = el('button', { className: 'plain preset', type: 'button', 'aria-pressed': 'false', onclick: () => choose(name, t(`preset_${name}`), values) },
      picture(name), el('b', {}, t(`preset_${name}`)), el('span', { className: 'hint' }, t(`preset_${name}_hint`)));
    return { name, values, button };
  });
  /** Marks the preset that the form's values equal. */
  const mark = () => {
    const now = form.values;
    const equal = buttons.filter(({ values }) => {
      const changed = form.fields.filter(({ name, local }) => !local && !(name in values) && ![...OF_CLIP, 'factor', 'fps', 'passes'].includes(name)
        && String(now[name]) !== String(form.initial(name)));
      return changed.length === 0 && Object.entries(values).every(([name, value]) => String(now[name]) === String(value));
    });
    const marked = equal.find(({ name }) => name === last) ?? equal[0];
    const mine = own.mark(last);
    for (const one of buttons) one.button.setAttribute('aria-pressed', String(one === marked && !mine));
  };
  const own = ownPresets(form, choose);
  return { element: el('div', { className: 'stack' }, el('div', { className: 'presets', role: 'group', 'aria-label': t('presets') }, ...buttons.map(({ button }) => button)), own.element), mark };
}

/** Creates the list of own presets, with saving, exporting, importing and deleting.
 * @param {import('./form.js').Form} form @param {(name: string, shown: string, values: Record<string, any>) => void} choose
 */
function ownPresets(form, choose) {
  const list = el('ul', { className: 'own', 'aria-label': t('presets_own') });
  const name = el('input', { type: 'text', maxLength: 60, placeholder: t('preset_name'), 'aria-label': t('preset_name'), autocomplete: 'off' });
  const count = el('span', { className: 'count' });
  const undo = el('div', { className: 'row' });
  /** Presets by their buttons. @type {Map<HTMLElement, any>} */
  const rows = new Map();
  const load = async () => {
    const { items } = await call('GET', '/presets').catch(() => ({ items: [] }));
    const here = items.filter((/** @type {any} */ { kind }) => kind === form.key);
    rows.clear();
    list.replaceChildren(...here.map(row));
    list.hidden = here.length === 0;
    form.changed();
    count.textContent = here.length > 0 ? String(here.length) : '';
  };
  const save = async (/** @type {string} */ title, /** @type {Record<string, any>} */ options, /** @type {string} */ kind) => {
    await call('PUT', `/presets/${encodeURIComponent(title)}`, { kind, options });
    await load();
    say(t('preset_saved', { name: title }));
  };
  /** Shows for UNDO_MS that a preset was deleted, with a button that saves it again. @param {any} preset */
  const showUndo = (preset) => {
    const back = el('button', { className: 'plain', type: 'button', onclick: () => {
      undo.replaceChildren();
      save(preset.name, preset.options, preset.kind).then(() => name.focus(), (error) => notice(error.message));
    } }, t('undo'));
    undo.replaceChildren(el('span', { className: 'hint grow', role: 'status' }, t('deleted', { name: preset.name })), back);
    back.focus();
    const look = () => back.isConnected && (undo.matches(':hover, :focus-within') ? setTimeout(look, 1000) : undo.replaceChildren());
    setTimeout(look, UNDO_MS);
  };
  const row = (/** @type {any} */ preset) => {
    const button = (/** @type {string} */ key, /** @type {string} */ sign, /** @type {() => void} */ click) =>
      el('button', { className: 'plain icon', type: 'button', 'aria-label': t(key, { name: preset.name }), title: t(key, { name: preset.name }), onclick: click }, sign);
    const chosen = el('button', { className: 'plain preset', type: 'button', 'aria-pressed': 'false', onclick: () => choose(`own ${preset.name}`, preset.name, preset.options) }, preset.name);
    rows.set(chosen, preset);
    return el('li', {}, chosen,
      button('preset_export', t('preset_export_word'), () => download(preset)),
      button('preset_delete', '✕', () => call('DELETE', `/presets/${encodeURIComponent(preset.name)}`).then(load).then(() => showUndo(preset), (error) => notice(error.message))));
  };
  /** Marks the own preset that was chosen last, while the form has its values; returns whether there is one. @param {string} last */
  const mark = (last) => {
    const text = (/** @type {Record<string, any>} */ options) => JSON.stringify(Object.entries(options).filter(([field]) => !OF_CLIP.includes(field)).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    const now = text(form.options);
    let found = false;
    for (const [button, { name: one, options }] of rows) {
      const good = last === `own ${one}` && text(options) === now;
      button.setAttribute('aria-pressed', String(good));
      found ||= good;
    }
    return found;
  };
  const saver = el('form', { className: 'row' }, name, el('button', { className: 'plain' }, t('preset_save')), importer(save));
  saver.addEventListener('submit', (/** @type {Event} */ event) => {
    event.preventDefault();
    const options = Object.fromEntries(Object.entries(form.options).filter(([field]) => !OF_CLIP.includes(field)));
    save(name.value.trim(), options, form.key).then(() => { name.value = ''; }, (error) => notice(error.message));
  });
  load();
  return { mark, element: el('details', { className: 'ownpresets' }, el('summary', {}, t('presets_own'), count), el('div', { className: 'stack' }, list, undo, saver)) };
}

/** Creates the button that imports a preset file. @param {(title: string, options: Record<string, any>, kind: string) => Promise<void>} save */
function importer(save) {
  const file = el('input', { type: 'file', accept: '.json,application/json', hidden: true, 'aria-hidden': 'true' });
  file.addEventListener('change', async () => {
    try {
      const [chosen] = file.files;
      const { name, kind, options } = JSON.parse(await chosen.text());
      await save(String(name ?? chosen.name.replace(/(\.rife)?\.json$/i, '')), options ?? {}, kind);
    } catch (error) {
      notice(error instanceof SyntaxError ? t('preset_no_json') : /** @type {Error} */ (error).message);
    }
    file.value = '';
  });
  return el('span', {}, file, el('button', { className: 'plain', type: 'button', onclick: () => file.click() }, t('preset_import')));
}

/** Downloads a preset as a file for `--preset-file`. @param {any} preset */
function download(preset) {
  const address = URL.createObjectURL(new Blob([`${JSON.stringify(preset, null, 2)}\n`], { type: 'application/json' }));
  el('a', { href: address, download: `${preset.name}.rife.json` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

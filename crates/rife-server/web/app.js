// @ts-check
// The page: its tabs, settings and list of jobs.

import { ApiError, call } from './api.js';
import { el, notice, translate } from './dom.js';
import { Frames } from './frames.js';
import { CLIPS } from './inputs.js';
import { Jobs } from './jobs.js';
import * as options from './options.js';
import { language, t } from './text.js';
import { Work } from './work.js';

const TABS = ['frames', 'images', 'chain', 'video', 'reencode'];

/** @type {Record<string, any>} */
const panels = {};

/** @param {string} key @param {boolean} [focus] */
function open(key, focus) {
  for (const [name, panel] of Object.entries(panels)) {
    const tab = document.getElementById(`tab-${name}`);
    const chosen = name === key;
    panel.element.hidden = !chosen;
    tab?.setAttribute('aria-selected', String(chosen));
    if (tab) tab.tabIndex = chosen ? 0 : -1;
    if (chosen && focus) tab?.focus();
    if (chosen) tab?.scrollIntoView?.({ block: 'nearest', inline: 'nearest' });
  }
  if (location.hash !== `#${key}`) history.replaceState(null, '', `#${key}`);
}

/** Tabs as the ARIA patterns have them: arrows, Home and End move. */
function tabs() {
  const list = /** @type {HTMLElement} */ (document.getElementById('tabs'));
  list.append(...TABS.map((key) => el('button', {
    role: 'tab', type: 'button', id: `tab-${key}`, 'aria-controls': `panel-${key}`, onclick: () => open(key),
  }, t(`tab_${key}`))));
  list.addEventListener('keydown', (event) => {
    const at = TABS.findIndex((key) => `tab-${key}` === document.activeElement?.id);
    /** @type {Record<string, number>} */
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1 + TABS.length, Home: 0, End: TABS.length - 1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    open(TABS[moves[event.key] % TABS.length], true);
  });
}

function settings() {
  const root = document.documentElement;
  root.lang = language() === 'zh' ? 'zh-Hans' : 'en';
  const theme = /** @type {HTMLSelectElement} */ (document.getElementById('theme'));
  theme.value = root.dataset.theme = localStorage.getItem('theme') ?? 'auto';
  theme.addEventListener('change', () => {
    localStorage.setItem('theme', theme.value);
    root.dataset.theme = theme.value;
  });
  const select = /** @type {HTMLSelectElement} */ (document.getElementById('language'));
  select.value = language();
  select.addEventListener('change', () => {
    localStorage.setItem('language', select.value);
    // What was chosen is kept by the session, the rest by the server.
    location.reload();
  });
}

function build() {
  panels.frames = new Frames((inputs) => {
    panels.images.inputs.items = [];
    for (const input of inputs) panels.images.inputs.add(input);
    open('images', true);
  });
  panels.images = new Work('images', { kind: 'images', least: 2, accept: 'image/*,.exr', drop: 'drop_images', fields: options.images() });
  panels.chain = new Work('chain', { kind: 'chain', least: 2, accept: CLIPS, drop: 'drop_clips', fields: options.chain() });
  panels.video = new Work('video', { kind: 'video', least: 1, each: true, accept: CLIPS, drop: 'drop_clips', fields: options.video() });
  panels.reencode = new Work('reencode', { kind: 'reencode', least: 1, accept: CLIPS, drop: 'drop_one', fields: options.reencode() });
  document.getElementById('main')?.append(...TABS.map((key) => panels[key].element));
}

/** What this server can do, into the forms. */
async function machine() {
  const [models, health] = await Promise.all([call('GET', '/models'), call('GET', '/health')]);
  for (const { form } of Object.values(panels)) {
    if (!form?.parts.has('model')) continue;
    form.choices('model', models.items.map((/** @type {any} */ item) => [item.name, `${item.name} (${item.version})`]));
    form.choices('precision', models.precisions.map((/** @type {string} */ name) => [name, name]));
    const fit = () => {
      const chosen = models.items.find((/** @type {any} */ item) => item.name === form.values.model);
      form.enable('ensemble', chosen?.ensemble ?? false);
      form.enable('tta', chosen?.tta ?? true);
    };
    form.parts.get('model').input.addEventListener('change', fit);
    fit();
  }
  const system = document.getElementById('system');
  if (system) system.textContent = t('system', { version: health.version, models: models.items.length, engine: models.engine });
}

/** Asks for the token, until it is right. */
function ask() {
  const input = el('input', { type: 'password', id: 'token', autocomplete: 'current-password' });
  const wrong = el('p', { className: 'wrong', role: 'alert' });
  const form = el('form', { className: 'card gate' }, el('p', {}, t('token')), el('label', { for: 'token' }, t('token_label')), input, wrong, el('button', {}, t('enter')));
  form.addEventListener('submit', async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      await call('POST', '/session', { token: input.value });
      location.reload();
    } catch (error) {
      wrong.textContent = /** @type {Error} */ (error).message;
    }
  });
  document.getElementById('main')?.replaceChildren(form);
  input.focus();
}

async function begin() {
  settings();
  translate();
  try {
    await call('GET', '/jobs?limit=1');
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return ask();
    notice(t('offline'));
  }
  tabs();
  build();
  open(TABS.includes(location.hash.slice(1)) ? location.hash.slice(1) : 'video');
  addEventListener('hashchange', () => TABS.includes(location.hash.slice(1)) && open(location.hash.slice(1)));
  const jobs = new Jobs((tab, input) => {
    panels[tab]?.inputs.add(input);
    open(tab, true);
  });
  await Promise.all([machine(), jobs.begin()]).catch((error) => notice(error.message));
}

begin();

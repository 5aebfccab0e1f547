// @ts-check
// The page: its tabs, settings and list of jobs.

import { ApiError, call } from './api.js';
import { connection, el, notice, translate } from './dom.js';
import { Frames } from './frames.js';
import { CLIPS } from './files.js';
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
    panels.images.inputs.clear();
    for (const input of inputs) panels.images.inputs.add(input);
    open('images', true);
  });
  panels.images = new Work('images', { kind: 'images', least: 2, takes: 'pictures', accept: 'image/*,.exr', drop: 'drop_images', fields: options.images() });
  panels.chain = new Work('chain', { kind: 'chain', least: 2, takes: 'clips', accept: CLIPS, drop: 'drop_clips', fields: options.chain() });
  panels.video = new Work('video', { kind: 'video', least: 1, each: true, takes: 'clips', accept: CLIPS, drop: 'drop_clips', fields: options.video() });
  panels.reencode = new Work('reencode', { kind: 'reencode', least: 1, takes: 'clips', accept: CLIPS, drop: 'drop_one', fields: options.reencode() });
  document.getElementById('main')?.append(...TABS.map((key) => panels[key].element));
}

/** What this server can do, into the forms; asked for until it answers. @returns {Promise<void>} */
async function machine() {
  const [models, health] = await Promise.all([call('GET', '/models'), call('GET', '/health')]).catch(async (error) => {
    if (error instanceof ApiError) throw error;
    await new Promise((resolve) => setTimeout(resolve, 3000));
    return [];
  });
  if (!models) return machine();
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
  for (const { form } of Object.values(panels)) if (form) containers(form, models.containers);
  const system = document.getElementById('system');
  const leave = document.getElementById('leave');
  if (leave) {
    leave.hidden = health.auth === 'none';
    leave.addEventListener('click', () => call('DELETE', '/session').then(() => location.reload(), (error) => notice(error.message)));
  }
  if (system) system.textContent = t('system', { version: health.version, models: models.items.length, engine: models.engine });
}

/** The codecs that go with the chosen type of file, and no others; none where that is the source's, which differ. @param {import('./form.js').Form} form @param {Record<string, string[]>} held */
function containers(form, held) {
  const type = form.parts.get('ext')?.input;
  if (!type) return;
  const fit = () => {
    form.choices('codec', [['', t('o_codec_usual')], ...(held[type.value] ?? []).map((name) => /** @type {[string, string]} */ ([name, name]))]);
    form.changes();
  };
  // Before the form tells of the change.
  type.addEventListener('change', fit, { capture: true });
  fit();
}

/** Files may be dropped anywhere, and pasted: they go where the open tab has its own. */
function drops() {
  const inputs = () => Object.values(panels).find((panel) => !panel.element.hidden)?.inputs;
  const files = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes('Files') ?? false;
  const over = (/** @type {boolean} */ on) => document.body.classList.toggle('over', on);
  addEventListener('dragover', (event) => {
    if (!files(event)) return;
    event.preventDefault();
    over(true);
  });
  addEventListener('dragleave', (event) => event.relatedTarget === null && over(false));
  addEventListener('drop', (event) => {
    if (!files(event)) return;
    // Otherwise the browser opens the file in place of the page.
    event.preventDefault();
    over(false);
    if (event.dataTransfer) inputs()?.receive(event.dataTransfer);
  });
  addEventListener('paste', (event) => event.clipboardData?.files.length && inputs()?.receive(event.clipboardData));
  addEventListener('beforeunload', (event) => Object.values(panels).some(({ inputs: { waiting } }) => waiting) && event.preventDefault());
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
    connection(false);
  }
  tabs();
  build();
  drops();
  open(TABS.includes(location.hash.slice(1)) ? location.hash.slice(1) : 'video');
  addEventListener('hashchange', () => TABS.includes(location.hash.slice(1)) && open(location.hash.slice(1)));
  const jobs = new Jobs((tab, input) => {
    panels[tab]?.inputs.add(input);
    open(tab, true);
  });
  await Promise.all([machine(), jobs.begin()]).catch((error) => notice(error.message));
}

begin();

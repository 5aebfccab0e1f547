// @ts-check
// The list of jobs, which is the server's: it is told of every change, and asks for what came before.

import { call, listen, url } from './api.js';
import { connection, el, notice, say } from './dom.js';
import { checked, results } from './results.js';
import { bytes, duration, t, told } from './text.js';

const ENDED = ['done', 'failed', 'cancelled'];
/** Milliseconds between two previews of one job. */
const PREVIEW = 800;
/** Milliseconds in which a deletion can be undone. */
const UNDO = 10_000;

export class Jobs {
  /** @param {(tab: string, input: import('./inputs.js').Input) => void} use */
  constructor(use) {
    this.use = use;
    this.list = /** @type {HTMLElement} */ (document.getElementById('jobs'));
    this.more = /** @type {HTMLButtonElement} */ (document.getElementById('more'));
    this.more.addEventListener('click', () => this.older());
    /** @type {Map<string, {job: any, card: HTMLElement, shown: number}>} */
    this.known = new Map();
    /** @type {string | null} */
    this.cursor = null;
    this.up = true;
    /** Deletions that can still be undone. @type {Map<string, number>} */
    this.doomed = new Map();
    // Who leaves the page has not undone them.
    addEventListener('pagehide', () => {
      for (const id of this.doomed.keys()) fetch(url(`/jobs/${id}`), { method: 'DELETE', keepalive: true });
    });
  }

  async begin() {
    await this.older().catch(() => { this.up = false; });
    listen((type, data) => this.heard(type, data), (up) => this.connected(up));
  }

  async older() {
    const page = await call('GET', `/jobs?limit=20${this.cursor ? `&cursor=${encodeURIComponent(this.cursor)}` : ''}`);
    for (const job of page.items) this.put(job, true);
    this.cursor = page.next;
    this.more.hidden = !page.next;
    this.blank();
  }

  /** @param {boolean} up */
  async connected(up) {
    connection(up);
    if (up === this.up) return;
    this.up = up;
    if (!up) return;
    // What changed meanwhile: jobs may have ended or gone.
    const page = await call('GET', '/jobs?limit=50').catch(() => null);
    if (!page) return;
    for (const job of page.items.toReversed()) this.put(job, false);
    const listed = new Set(page.items.map((/** @type {any} */ job) => job.id));
    const oldest = page.next ? page.items.at(-1).created_at : '';
    for (const [id, { job }] of this.known) if (!listed.has(id) && job.created_at >= oldest) this.gone(id);
  }

  /** @param {string} id */
  gone(id) {
    const known = this.known.get(id);
    if (!known) return;
    clearTimeout(this.doomed.get(id));
    this.doomed.delete(id);
    const held = known.card.contains(document.activeElement);
    known.card.remove();
    this.known.delete(id);
    // The button that had the focus is gone.
    if (held) document.getElementById('jobs-title')?.focus();
    this.blank();
  }

  /** Takes a card away, and its job a little later. @param {string} id */
  doom(id) {
    this.doomed.set(id, setTimeout(async () => {
      this.doomed.delete(id);
      await call('DELETE', `/jobs/${id}`).catch((error) => {
        notice(error.message);
        this.spare(id);
      });
    }, UNDO));
    this.redraw(id);
  }

  /** @param {string} id */
  spare(id) {
    clearTimeout(this.doomed.get(id));
    this.doomed.delete(id);
    this.redraw(id);
  }

  /** @param {string} id */
  redraw(id) {
    const known = this.known.get(id);
    if (known) this.put(known.job, false);
  }

  /** The order of the queue. @param {string[]} ids */
  order(ids) {
    for (const [id, { job, card }] of this.known) {
      if (job.state !== 'queued') continue;
      const at = ids.indexOf(id);
      job.position = at < 0 ? null : at + 1;
      const line = card.querySelector('.about');
      if (line) line.textContent = about(job);
    }
  }

  /** @param {string} type @param {any} data */
  heard(type, data) {
    const known = this.known.get(data.id);
    if (type === 'deleted') this.gone(data.id);
    else if (type === 'queue') this.order(data.jobs);
    else if (type === 'progress' && known) {
      known.job.progress = data.progress;
      this.advance(known);
    } else if (type === 'job') {
      const ended = known && !ENDED.includes(known.job.state) && ENDED.includes(data.state);
      this.put(data, false);
      if (ended && data.state === 'done') say(t('finished', { name: data.label }));
      if (ended && data.state === 'failed') say(t('failed', { name: data.label, text: data.error ? told(data.error) : '' }));
    }
  }

  /** @param {any} job @param {boolean} older whether it belongs at the end */
  put(job, older) {
    const known = this.known.get(job.id);
    const card = this.card(job);
    const held = known?.card.contains(document.activeElement) ? document.activeElement : null;
    if (known) known.card.replaceWith(card);
    else if (older) this.list.append(card);
    else this.list.prepend(card);
    const entry = { job, card, shown: known?.shown ?? 0 };
    this.known.set(job.id, entry);
    this.blank();
    this.advance(entry);
    // A card that changes under somebody's hands does not throw them out.
    const again = held && (card.querySelector(`[data-act="${held.getAttribute('data-act')}"]`) ?? card.querySelector('button, a, select'));
    if (again) /** @type {HTMLElement} */ (again).focus();
  }

  blank() {
    const empty = this.list.querySelector('.empty');
    if (this.known.size === 0 && !empty) this.list.append(el('p', { className: 'empty' }, t('no_jobs')));
    if (this.known.size > 0) empty?.remove();
  }

  /** @param {any} job */
  card(job) {
    const { state } = job;
    if (this.doomed.has(job.id)) return this.undo(job);
    const act = (/** @type {string} */ key, /** @type {string} */ method, /** @type {string} */ path) =>
      el('button', { className: 'plain', type: 'button', 'data-act': key, onclick: async (/** @type {Event} */ event) => {
        const button = /** @type {HTMLButtonElement} */ (event.target);
        button.disabled = true;
        await call(method, path).catch((error) => notice(error.message));
        button.disabled = false;
      } }, t(key));
    const active = !ENDED.includes(state);
    return el('article', { className: 'job', 'data-id': job.id, 'data-state': state, 'aria-label': `${job.label}: ${t(`state_${state}`)}` },
      el('header', {}, el('h3', { className: 'name', title: job.label }, job.label), el('span', { className: 'state' }, t(`state_${state}`))),
      el('div', { className: 'row' },
        el('p', { className: 'hint grow about' }, about(job)),
        active && act('cancel', 'POST', `/jobs/${job.id}/cancel`),
        ['failed', 'cancelled'].includes(state) && act('retry', 'POST', `/jobs/${job.id}/retry`),
        !active && el('button', { className: 'plain', type: 'button', 'data-act': 'delete', onclick: () => this.doom(job.id) }, t('delete'))),
      state === 'running' && el('progress', { max: 1, 'aria-label': job.label }),
      state === 'running' && el('p', { className: 'hint moving' }),
      state === 'running' && el('img', { className: 'preview', alt: t('preview'), hidden: true }),
      job.error && el('p', { className: 'wrong' }, told(job.error)),
      job.summary?.needed === false && el('p', { className: 'yes' }, t('not_needed')),
      job.summary?.warnings?.length > 0 && el('ul', { className: 'notes' }, ...job.summary.warnings.map((/** @type {string} */ text) => el('li', {}, text))),
      job.summary?.check && el('p', { className: 'yes small' }, checked(job.summary.check)),
      ...results(job, this.use));
  }

  /** What stands for a card that is about to go. @param {any} job */
  undo(job) {
    return el('article', { className: 'job', 'data-id': job.id, 'data-state': 'deleted', 'aria-label': job.label },
      el('div', { className: 'row' }, el('p', { className: 'hint grow', role: 'status' }, t('deleted', { name: job.label })),
        el('button', { className: 'plain', type: 'button', 'data-act': 'delete', onclick: () => this.spare(job.id) }, t('undo'))));
  }

  /** Moves the bar, and fetches the newest frame now and then. @param {{job: any, card: HTMLElement, shown: number}} entry */
  advance(entry) {
    const { job, card } = entry;
    const { progress } = job;
    const bar = card.querySelector('progress');
    if (!bar || !progress) return;
    if (progress.total) bar.value = progress.done / progress.total;
    const moving = card.querySelector('.moving');
    if (moving) {
      moving.textContent = [
        progress.total ? t('progress', { done: progress.done, total: progress.total }) : t('progress_open', { done: progress.done }),
        progress.rate ? t('rate', { rate: Math.round(progress.rate * 10) / 10 }) : '',
        progress.eta_s ? t('left', { time: duration(progress.eta_s) }) : '',
      ].filter(Boolean).join(' · ');
    }
    const preview = /** @type {HTMLImageElement | null} */ (card.querySelector('.preview'));
    if (preview && progress.preview > 0 && (preview.hidden || Date.now() - entry.shown > PREVIEW)) {
      entry.shown = Date.now();
      preview.src = url(`/jobs/${job.id}/preview?n=${progress.preview}`);
      preview.hidden = false;
    }
  }
}

/** One line about a job. @param {any} job */
function about(job) {
  const spent = job.summary?.elapsed_s;
  const size = job.files.reduce((/** @type {number} */ sum, /** @type {any} */ file) => sum + file.bytes, 0);
  return [
    t(`kind_${job.kind}`),
    job.position ? t('queued_at', { n: job.position }) : '',
    job.resumed ? t('resumed') : job.attempts > 1 ? t('attempt', { n: job.attempts }) : '',
    typeof spent === 'number' ? t('took', { time: duration(spent), size: bytes(size) }) : '',
  ].filter(Boolean).join(' · ');
}

// @ts-check
// Results of a job: play, download, compare with the source, and use as input of another tab.

import { url } from './api.js';
import { el, notice } from './dom.js';
import { decodes } from './players.js';
import { checkQuality } from './report.js';
import { bytes, t } from './text.js';
import { verification } from './verify.js';

/** @typedef {(tab: string, input: import('./inputs.js').Input) => void} Use */

/** Tabs that accept pictures, and tabs that accept clips. */
const PICTURES = ['images'];
const CLIPS = ['video', 'chain', 'reencode', 'frames'];

/** Returns the API path of a result. @param {any} job @param {any} file */
const path = (job, file) => `/jobs/${job.id}/files/${encodeURIComponent(file.name)}`;
/** Reports whether a result is a clip. @param {any} file */
const isClip = (file) => file.media_type.startsWith('video/') || file.media_type === 'application/mxf';
/** Reports whether a result is a still picture; an animation cannot be an input. @param {any} file */
const isPicture = (file) => file.media_type.startsWith('image/') && file.media_type !== 'image/gif';

/** Opens the comparison of a result, which is loaded for that. @param {any} job @param {any} file */
export const compare = (job, file) => import('./compare.js').then((module) => module.compare(job, file)).catch((error) => notice(error.message));

/** Elements of a job's results: what is always shown, the first buttons, and what "More" opens. @typedef {{shown: any[], first: any[], more: any[]}} Parts */

/** Creates the elements of a job's results; several pictures become one gallery. @param {any} job @param {Use} use @returns {Parts} */
export function results(job, use) {
  const pictures = job.files.filter(isPicture);
  if (pictures.length > 1) return { shown: [gallery(job, pictures)], first: [], more: [further(job, pictures, use)] };
  const known = (/** @type {any} */ file) => isClip(file) || file.media_type.startsWith('image/');
  const parts = job.files.filter(known).map((/** @type {any} */ file) => result(job, file, use));
  const others = job.files.filter((/** @type {any} */ file) => !known(file) && file.name !== 'worst.json')
    .map((/** @type {any} */ file) => el('p', { className: 'hint' }, save(job, file, file.label, ''), ` (${bytes(file.bytes)})`));
  const all = (/** @type {'shown' | 'first' | 'more'} */ key) => parts.flatMap((/** @type {Parts} */ part) => part[key]);
  return { shown: all('shown'), first: all('first'), more: [...all('more'), ...others] };
}

/** Creates the elements of one result. @param {any} job @param {any} file @param {Use} use @returns {Parts} */
function result(job, file, use) {
  const comparable = isClip(file) && ['video', 'reencode'].includes(job.kind);
  const stage = el('div', { className: 'stand' });
  const shown = el('div', { className: 'result' },
    picture(job, file, stage),
    el('div', {}, el('div', { className: 'name', title: file.label }, file.label), el('span', { className: 'hint' }, bytes(file.bytes))),
    stage);
  return {
    shown: [shown],
    first: [
      save(job, file, t('download'), 'button'),
      comparable && el('button', { className: 'plain', type: 'button', 'data-act': 'compare', onclick: () => compare(job, file) }, t('compare')),
    ],
    more: [
      isClip(file) && el('button', { className: 'plain', type: 'button', 'data-act': 'check', onclick: () => checkQuality({ job: job.id, file: file.name }) }, t('check_quality')),
      isClip(file) && verification(path(job, file)),
      further(job, [file], use),
    ],
  };
}

/** Creates a download link. @param {any} job @param {any} file @param {string} text @param {string} className */
function save(job, file, text, className) {
  return el('a', { className, href: url(`${path(job, file)}?download=1`), 'aria-label': t('download_of', { name: file.label }), title: file.label }, text);
}

/** Creates a thumbnail; a clip plays in `stage` when it is clicked. @param {any} job @param {any} file @param {HTMLElement} stage */
function picture(job, file, stage) {
  const moves = ['image/gif', 'image/webp'].includes(file.media_type);
  const source = url(moves ? path(job, file) : `${path(job, file)}/frames/1?width=320`);
  const still = el('img', { alt: '', loading: 'lazy', src: source });
  if (!isClip(file)) return el('span', { className: 'poster' }, still);
  const button = el('button', { className: 'poster', type: 'button', 'data-act': 'play', 'aria-label': t('play_of', { name: file.label }) },
    still, el('span', { className: 'sign', 'aria-hidden': 'true' }, '▶'));
  button.addEventListener('click', () => {
    const movie = el('video', { src: url(path(job, file)), controls: true, autoplay: true, playsInline: true, 'aria-label': file.label });
    decodes(movie).then((good) => good || stage.replaceChildren(el('p', { className: 'wrong', role: 'alert' }, t('cannot_play_one'))));
    stage.replaceChildren(movie);
    movie.focus();
  });
  return button;
}

/** Creates the selection of tabs that accept the files. @param {any} job @param {any[]} files @param {Use} use */
function further(job, files, use) {
  const tabs = isClip(files[0]) ? CLIPS : isPicture(files[0]) ? PICTURES : [];
  if (tabs.length === 0) return null;
  const select = el('select', { 'aria-label': t('use_in'), 'data-act': 'use' }, el('option', { value: '' }, t('use_in')),
    ...tabs.map((tab) => el('option', { value: tab }, t(`tab_${tab}`))));
  select.addEventListener('change', () => {
    for (const file of files) use(select.value, { ref: { job: job.id, file: file.name }, name: file.label, size: file.bytes });
    select.value = '';
  });
  return select;
}

/** Creates a gallery of pictures that can be downloaded. @param {any} job @param {any[]} files */
function gallery(job, files) {
  const all = files.map((file) => el('li', {}, el('a', { href: url(`${path(job, file)}?download=1`), 'aria-label': t('download_of', { name: file.label }), title: file.label },
    el('img', { alt: '', loading: 'lazy', src: url(`${path(job, file)}/frames/1?width=176`) }))));
  return el('div', { className: 'stack' },
    el('p', { className: 'hint' }, t('pictures', { count: files.length })),
    el('ul', { className: 'gallery' }, ...all));
}

/** Describes the result of the colour check of a re-encoding. @param {any} check */
export function checked(check) {
  const known = check.psnr.filter((/** @type {number | null} */ psnr) => psnr !== null);
  const lowest = known.length > 0 ? t('decibels', { n: Math.min(...known).toFixed(1) }) : t('same');
  const bias = Math.max(...check.bias.map(Math.abs)).toFixed(2);
  return t('checked', { frames: check.frames, psnr: lowest, bias });
}

// @ts-check
// Storyboard of a chain or of pictures: clips and transitions drawn to scale, with the frames on both sides of each transition.

import { el } from './dom.js';
import { frameUrl } from './inputs.js';
import { duration, t } from './text.js';

/** Width of the frames in pixels. */
const WIDTH = 176;

/** Storyboard of the inputs of a tab. */
export class Storyboard {
  constructor() {
    this.shown = '';
    this.list = el('ol', { className: 'board' });
    this.element = el('section', { className: 'card', 'aria-label': t('storyboard'), hidden: true }, el('div', { className: 'wide', tabIndex: 0, role: 'region', 'aria-label': t('storyboard') }, this.list));
  }

  /** Draws inputs that are probed. @param {import('./inputs.js').Input[]} items @param {{passes?: number, fps?: string | number, loop?: boolean}} values of the form */
  show(items, { passes = 2, fps, loop = false }) {
    const known = items.length > 1 && items.every(({ probe }) => probe);
    this.element.hidden = !known;
    const key = known ? JSON.stringify([items.map(({ ref }) => ref), passes, fps, loop]) : '';
    if (key === this.shown) return;
    this.shown = key;
    if (!known) return this.list.replaceChildren();
    const [above, below = '1'] = String(fps || items[0].probe.fps || 25).split('/');
    const frames = 2 ** Number(passes) - 1;
    const seconds = frames / (Number(above) / Number(below) || 25);
    this.list.replaceChildren(...items.flatMap((item, index) => [this.scene(item, index), (loop || index + 1 < items.length) && seam(item, items[(index + 1) % items.length], frames, seconds)].filter(Boolean)));
  }

  /** Creates the part of a clip or picture. @param {import('./inputs.js').Input} item @param {number} index */
  scene({ ref, name, probe }, index) {
    const length = probe.duration_s ?? 0;
    const scene = el('li', { className: 'scene', title: name }, el('img', { alt: '', loading: 'lazy', src: frameUrl(ref, 1, WIDTH) }), el('span', { className: 'hint' }, [index + 1, length ? duration(length) : ''].filter(Boolean).join(' · ')));
    scene.style.flexGrow = String(Math.max(length, 0.05));
    return scene;
  }
}

/** Creates the transition between two inputs: the last frame of one and the first of the next.
 * @param {import('./inputs.js').Input} from @param {import('./inputs.js').Input} to @param {number} frames @param {number} seconds
 */
function seam(from, to, frames, seconds) {
  const picture = (/** @type {any} */ ref, /** @type {number} */ number, /** @type {string} */ key) => el('img', { alt: t(key), title: t(key), loading: 'lazy', src: frameUrl(ref, number, WIDTH) });
  const element = el('li', { className: 'seam' }, el('div', {}, picture(from.ref, from.probe.frames ?? 1, 'seam_last'), picture(to.ref, 1, 'seam_first')), el('span', { className: 'hint' }, t('seam', { n: frames, time: duration(seconds) })));
  element.style.flexGrow = String(seconds);
  return element;
}

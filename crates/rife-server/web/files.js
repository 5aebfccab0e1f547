// @ts-check
// What people drop, paste or choose, as files: folders are walked, and what is no picture and no clip is left out of
// them.

import { t } from './text.js';

/** File names' ends, by what a tab takes. @type {Record<string, RegExp>} */
const KINDS = {
  clips: /\.(mp4|m4v|mov|qt|mkv|webm|avi|m?ts|m2ts|gif|nut|y4m|flv|og[vg]|mpe?g|vob|wmv|asf|mxf|3g[p2])$/i,
  pictures: /\.(png|jpe?g|webp|tiff?|exr|bmp|ppm|pgm|heic|heif|avif|jxl)$/i,
};

/** What clips are, to the dialog that chooses files. */
export const CLIPS = 'video/*,.mkv,.mov,.avi,.ts,.m2ts,.mxf,.y4m,.gif';

/** @typedef {{files: File[], said: string}} Gathered files in their order, and what is to be said of those left out */

/**
 * The files of a drop. Must be called while the event is told of.
 * @param {DataTransfer} data @param {string} kind
 * @returns {Promise<Gathered>}
 */
export async function gather(data, kind) {
  const entries = [...data.items].filter((item) => item.kind === 'file').map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  /** @type {File[]} */
  const files = [];
  let left = 0;
  for (const entry of entries) {
    if (!entry) continue;
    if (entry instanceof File) files.push(entry);
    else if (entry.isFile) files.push(await file(/** @type {FileSystemFileEntry} */ (entry)));
    else {
      const found = await walk(/** @type {FileSystemDirectoryEntry} */ (entry));
      const good = found.filter(({ name }) => KINDS[kind].test(name));
      left += found.length - good.length;
      files.push(...good);
    }
  }
  const none = files.length === 0 && t(`nothing_${kind}`);
  return { files, said: none || (left > 0 ? t('left_out', { count: left }) : '') };
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
const file = (entry) => new Promise((resolve, reject) => { entry.file(resolve, reject); });

/** Everything in a folder and in those in it, by name; hidden files are nobody's. @param {FileSystemDirectoryEntry} folder @returns {Promise<File[]>} */
async function walk(folder) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const entries = [];
  for (;;) {
    // A folder is read some at a time, until nothing comes.
    const some = await new Promise((/** @type {(entries: FileSystemEntry[]) => void} */ resolve, reject) => { reader.readEntries(resolve, reject); });
    if (some.length === 0) break;
    entries.push(...some);
  }
  const seen = entries.filter(({ name }) => !name.startsWith('.'));
  seen.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  const files = [];
  for (const entry of seen) {
    if (entry.isFile) files.push(await file(/** @type {FileSystemFileEntry} */ (entry)));
    else files.push(...(await walk(/** @type {FileSystemDirectoryEntry} */ (entry))));
  }
  return files;
}

// @ts-check
// Files from drag and drop or the clipboard: folders are searched recursively, and files of other types in them are skipped.

import { t } from './text.js';

/** File extensions of clips and pictures. @type {Record<string, RegExp>} */
const KINDS = {
  clips: /\.(mp4|m4v|mov|qt|mkv|webm|avi|m?ts|m2ts|gif|nut|y4m|flv|og[vg]|mpe?g|vob|wmv|asf|mxf|3g[p2])$/i,
  pictures: /\.(png|jpe?g|webp|tiff?|exr|bmp|ppm|pgm|heic|heif|avif|jxl)$/i,
};

/** `accept` attribute of clips for the file dialog. */
export const CLIPS = 'video/*,.mkv,.mov,.avi,.ts,.m2ts,.mxf,.y4m,.gif';

/** @typedef {{files: File[], message: string}} Collected files in natural order, and a message about skipped ones */

/**
 * Returns the files of a drop or paste. Must be called within the event handler.
 * @param {DataTransfer} data @param {string} kind
 * @returns {Promise<Collected>}
 */
export async function collectFiles(data, kind) {
  const entries = [...data.items].filter((item) => item.kind === 'file').map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  /** @type {File[]} */
  const files = [];
  let skipped = 0;
  for (const entry of entries) {
    if (!entry) continue;
    if (entry instanceof File) files.push(entry);
    else if (entry.isFile) files.push(await file(/** @type {FileSystemFileEntry} */ (entry)));
    else {
      const found = await walk(/** @type {FileSystemDirectoryEntry} */ (entry));
      const good = found.filter(({ name }) => KINDS[kind].test(name));
      skipped += found.length - good.length;
      files.push(...good);
    }
  }
  const none = files.length === 0 && t(`nothing_${kind}`);
  return { files, message: none || (skipped > 0 ? t('left_out', { count: skipped }) : '') };
}

/** Returns the file of an entry. @param {FileSystemFileEntry} entry @returns {Promise<File>} */
const file = (entry) => new Promise((resolve, reject) => { entry.file(resolve, reject); });

/** Returns all files in a folder and its subfolders in natural order, without hidden ones. @param {FileSystemDirectoryEntry} folder @returns {Promise<File[]>} */
async function walk(folder) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const entries = [];
  for (;;) {
    // readEntries returns a folder in batches, an empty one at the end.
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

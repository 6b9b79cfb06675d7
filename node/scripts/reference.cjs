'use strict';
// Writes the reference in docs/node.md, between its marks, from the declarations in index.d.ts. With --check: says whether
// it is what it would be.
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const guide = path.join(root, '..', 'docs', 'node.md');
const begin = '<!-- reference: begin (node/scripts/reference.cjs) -->';
const end = '<!-- reference: end -->';

// The sections of the declarations: each a title and its declarations, with their comments.
function sectionsOf(source) {
  const sections = [];
  let comment = [];
  let code = [];
  let depth = 0;
  for (const line of source.split('\n')) {
    const title = /^\/\/ --- (.*)$/.exec(line);
    if (title !== null) {
      sections.push({ title: title[1], entries: [] });
    } else if (depth === 0 && line.startsWith('/** ')) {
      comment = [line.replace(/^\/\*\* /, '').replace(/ ?\*\/$/, '')];
    } else if (depth > 0 || /^(export|interface)\b/.test(line)) {
      code.push(line.replace(/^export (declare )?/, ''));
      depth += (line.match(/[{(]/g) ?? []).length - (line.match(/[})]/g) ?? []).length;
      if (depth === 0) {
        sections.at(-1).entries.push({ comment: comment.join(' '), code: code.join('\n') });
        comment = [];
        code = [];
      }
    }
  }
  return sections;
}

// Overloads, and what follows without a comment of its own, stand in one block.
function textOf(sections) {
  const lines = [];
  for (const { title, entries } of sections) {
    lines.push(`### ${title}`, '');
    let open = false;
    for (const { comment, code } of entries) {
      if (open && comment !== '') {
        lines.push('```', '');
        open = false;
      }
      if (!open) {
        if (comment !== '') {
          lines.push(comment, '');
        }
        lines.push('```ts');
        open = true;
      }
      lines.push(code);
    }
    lines.push('```', '');
  }
  return lines.join('\n');
}

const reference = textOf(sectionsOf(fs.readFileSync(path.join(root, 'index.d.ts'), 'utf8')));
const before = fs.readFileSync(guide, 'utf8');
const from = before.indexOf(begin);
const to = before.indexOf(end);
if (from < 0 || to < from) {
  console.error('docs/node.md has lost its marks');
  process.exit(1);
}
const after = `${before.slice(0, from + begin.length)}\n\n${reference}${before.slice(to)}`;
if (!process.argv.includes('--check')) {
  fs.writeFileSync(guide, after);
} else if (before !== after) {
  console.error('docs/node.md is not what the declarations say: please run node node/scripts/reference.cjs');
  process.exit(1);
} else {
  console.log('the reference is what the declarations say');
}

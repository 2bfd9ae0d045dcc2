"""README.md from the cells of nbs/index.ipynb that are marked for it, without quarto: nbdev's processors drop what readers
skip, nbconvert writes markdown. The mark is `#| readme` in a code cell and `<!-- readme -->` at the end of a markdown cell."""
import re
from pathlib import Path
import nbformat
from fastcore.script import call_parse
from nbconvert import MarkdownExporter
from nbdev.config import get_config
from nbdev.frontmatter import FrontmatterProc
from nbdev.process import NBProcessor
from nbdev.processors import hide_, hide_line, rm_export, rm_header_dash
from traitlets.config import Config

mark = '<!-- readme -->'

def marked(nb):
    "Leave the cells that carry the mark, without it"
    nb.cells = [c for c in nb.cells if c.cell_type=='raw' or mark in c.source or 'readme' in getattr(c, 'directives_', {})]
    for c in nb.cells: c.source = c.source.replace(mark, '').rstrip()
    return nb

def tidy(nb):
    "Move quarto's cell options into what nbconvert reads"
    for c in nb.cells:
        if c.cell_type != 'code': continue
        d = {k.rstrip(':'): ' '.join(v) for k,v in c.directives_.items()}
        c.metadata['tags'] = [t for k,t in [('echo','remove_input'),('output','remove_all_outputs'),('include','remove_cell')] if d.get(k) == 'false']
        c.metadata['alt'] = d.get('fig-alt', '').strip('"\'')
        c.source = re.sub(r'^#\|.*\n?', '', c.source, flags=re.M)
        for o in c.outputs:
            if 'text' in o: o['text'] = ''.join(o['text'])
            for k,v in o.get('data', {}).items():
                if k.startswith('text/'): o['data'][k] = re.sub(r'<style scoped>.*?</style>\n?', '', ''.join(v), flags=re.S)  # a list of lines on disk; GitHub shows styles as text
    return nb

def figures(body, outputs, nb, folder):
    "Number the extracted pictures and give them their captions: [(name, bytes)], body"
    pics = {}
    for i,(key,data) in enumerate(outputs.items(), 1):
        cell, ext = int(key.split('_')[1]), Path(key).suffix
        name = f'{folder}/index_{i}{ext}'
        body = body.replace(f'![{ext[1:]}]({key})', f'![{nb.cells[cell].metadata.get("alt") or "figure"}]({name})')
        pics[name] = data
    return body, pics

def to_markdown(path, root):
    "README text, and its pictures as {path from root: bytes}"
    up = path.parent.relative_to(root).as_posix()
    p = NBProcessor(path, procs=[FrontmatterProc, hide_line, rm_header_dash, rm_export, hide_])
    p.process()
    fm, nb = p.nb.frontmatter_, tidy(marked(p.nb))
    nb.cells = [c for c in nb.cells if c.cell_type != 'raw']
    doc = nbformat.from_dict({k: nb[k] for k in ('cells','metadata','nbformat','nbformat_minor')})
    doc.metadata.language_info = {'name': 'python'}
    c = Config({'TagRemovePreprocessor': {'enabled': True, 'remove_input_tags': ['remove_input'], 'remove_cell_tags': ['remove_cell'],
                                          'remove_all_outputs_tags': ['remove_all_outputs']},
                'ExtractOutputPreprocessor': {'output_filename_template': 'fig_{cell_index}_{index}{extension}'}})
    body, res = MarkdownExporter(config=c).from_notebook_node(doc)
    body, pics = figures(body, res.get('outputs', {}), doc, f'{up}/images')
    body = re.sub(r'\]\((?!\w+:|#|/|\.\./|nbs/)', f']({up}/', body)  # links of the notebook's folder, seen from the top
    body = body.replace('](../', '](')
    head = f'# {fm["title"]}\n\n<!-- made from {up}/{path.name} by tools/readme.py: edit the notebook -->\n\n{fm.get("description", "")}\n\n'
    return head + re.sub(r'\n{3,}', '\n\n', re.sub(r'^[ ]+$', '', body, flags=re.M)).strip() + '\n', pics

def write(root):
    "Write README.md and its pictures, and remove pictures it no longer has"
    cfg = get_config()
    text, pics = to_markdown(cfg.nbs_path/cfg.readme_nb, cfg.config_path)
    for p in (cfg.nbs_path/'images').glob('index_*'):
        if p.relative_to(cfg.config_path).as_posix() not in pics: p.unlink()
    for name,data in pics.items():
        (root/name).parent.mkdir(exist_ok=True)
        (root/name).write_bytes(data)
    (root/'README.md').write_text(text, encoding='utf-8')

@call_parse
def main():
    "Write README.md from nbs/index.ipynb"
    write(get_config().config_path)

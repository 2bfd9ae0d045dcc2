"""Judges the generator that comes with the package on BIG-bench tasks, one of each family, against rivals that see the same examples.
    python experiments/judge_default.py OUT.json --judge DIR [--generator DIR] [--rows 12] [--most 40]
Goes on where it was cut; no task of BIG-bench was trained on, relatives of some were (`many` holds them)."""
import json, random, time
from pathlib import Path
import numpy as np, torch
from fastcore.script import call_parse
from dnd_nb.adapter import Adapters
from dnd_nb.evaluate import score
from dnd_nb.examples import shuffled, tuned, write
from dnd_nb.fast.graphs import engine_for
from dnd_nb.generator import load_generator
from dnd_nb.model import load_base
from dnd_nb.reader import NoReader
from dnd_nb.task import Example, Template, encode_rows, read_tasks

def shown_before(tok, shown, e, template):
    "The prompt of `e` after closed examples"
    closed = ''.join(''.join(template.render(s)) + tok.eos_token + '\n' for s in shown)
    return Example(closed + e.prompt, e.answer, e.choices)

@call_parse
def main(out:str, judge:str='', generator:str='', rows:int=12, most:int=40, ks:str="1,4,16", seed:int=0):
    model,tok = load_base()
    gen = load_generator(generator)
    reader,template = NoReader(),Template()
    fam = {}
    for t in random.Random(seed).sample(ts := read_tasks(judge), len(ts)): fam.setdefault(t.family, t)
    got = json.loads(Path(out).read_text()) if Path(out).exists() else {}
    for t in list(fam.values())[:most]:
        if t.name in got: continue
        t0,res,test = time.time(),{},t.test[:rows]
        def put(name, exs, ad=None):
            d = score(model, tok, exs, ad, max_len=1400, packed=False)
            res[name] = dict(nll=round(float(d.nll.sum()/d.tokens.sum()),4), accuracy=None if d.accuracy.isna().all() else round(float(d.accuracy.mean()),4), exact_match=None if d.exact_match.isna().all() else round(float(d.exact_match.mean()),4))
        put('base', test)
        for K in map(int, ks.split(",")):
            shown = shuffled(t)[:K]
            r = encode_rows(tok, shown, template, 224)
            cond = reader.read(shown)[torch.arange(len(shown))[None]]
            with torch.no_grad(): x = write(model, None, gen, cond, torch.ones(1, len(shown), dtype=torch.bool), [r], tok.pad_token_id, 1024)
            ad = Adapters.from_flat(gen.spec, x)
            if "learned_start" not in res: put("learned_start", test, Adapters.from_flat(gen.spec, gen.first(cond)[0].detach()))
            put(f'generated_{K}', test, ad)
            put(f'in_context_{K}', [shown_before(tok, shown, e, template) for e in test])
            if K==16: put('generated_16_tuned_5', test, tuned(model, tok, ad, [r], 5, 1e-3))
        got[t.name] = dict(family=t.family, sources=res, seconds=round(time.time()-t0,1))
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_text(json.dumps(got))
        print(t.name, {k:v['nll'] for k,v in res.items()}, f'{time.time()-t0:.0f} s', flush=True)

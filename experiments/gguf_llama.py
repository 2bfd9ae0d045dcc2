"""Does llama.cpp say what transformers says? SmolLM2 with an adapter of a few steps, greedy, on prompts of built-in tasks: base, LoRA
beside it, adapter merged; in F16 and Q8_0, against transformers
on the model's own weights and on the weights as the file rounds them. Makes results/gguf/llama_cpp.json. Needs a runtime: pip install xllamacpp.
    python experiments/gguf_llama.py [--n 100]"""
import copy, json, tempfile, time
from pathlib import Path
import gguf, torch, xllamacpp
from fastcore.script import call_parse
from dnd_nb.adapter import Adapters, LoraSpec
from dnd_nb.crew import this_commit, versions
from dnd_nb.evaluate import answers
from dnd_nb.io.files import write_json
from dnd_nb.io.gguf import _add, _np, _to, _turned, copied, gguf_names, merged_gguf, save_gguf_lora
from dnd_nb.model import PACKAGED, from_package, load_base
from dnd_nb.task import Template, encode_rows
from dnd_nb.tasks.builtin import builtin_tasks
from dnd_nb.teacher import AdapterTrainer, TeacherConfig

NAME = 'HuggingFaceTB/SmolLM2-135M-Instruct'

def as_gguf(model, template, path, kind):
    "The model's matrices in a GGUF file of this kind; tokenizer, settings and norms are the template's"
    r = gguf.GGUFReader(template)
    ps = {k.removesuffix('.weight'):p for k,p in model.named_parameters() if p.ndim==2}
    own = {n:_turned(ps[k], k, model.config) for k,n in gguf_names(ps, model.config).items()}
    with open(path, 'wb') as f:
        w = copied(r)
        for t in r.tensors:
            if t.name in own: _add(w, t.name, _np(own[t.name]), kind)
            else: w.add_tensor(t.name, t.data, raw_dtype=t.tensor_type)
        _to(w, f)
    return str(path)

@torch.no_grad()
def unpacked(path, model):
    "A copy of the model with the matrices of a GGUF file: what transformers computes from the same, rounded weights"
    res,ts = copy.deepcopy(model),{t.name:t for t in gguf.GGUFReader(path).tensors}
    ps = {k.removesuffix('.weight'):p for k,p in res.named_parameters() if p.ndim==2}
    for k,n in gguf_names(ps, model.config).items():
        at = _turned(torch.arange(len(ps[k])), k, model.config) # row of the file → row of the model
        ps[k][at] = torch.from_numpy(gguf.quants.dequantize(ts[n].data, ts[n].tensor_type).copy()).to(ps[k].dtype)
    return res

def llama_cpp(path, prompts, lora=None, n=6):
    "Greedy text of llama.cpp, one prompt after another"
    p = xllamacpp.CommonParams()
    p.model.path,p.n_ctx,p.n_parallel,p.warmup,p.verbosity = str(path),512,1,False,-1
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
    if lora: p.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(lora), 1.)]
    s,res = xllamacpp.Server(p),[]
    for x in prompts:
        o = s.handle_completions(dict(prompt=x, temperature=0, top_k=1, n_predict=n, cache_prompt=False))
        o = o if isinstance(o, dict) else json.loads(o)
        res.append(o['choices'][0]['text'] if 'choices' in o else o['content'])
    return res

def trained(model, tok, tasks, steps):
    "One adapter for all these tasks, by a few steps"
    spec = LoraSpec.from_model(model, 'all-linear', rank=8)
    rows = [encode_rows(tok, [e for t in tasks for e in t.train], Template())]
    tr = AdapterTrainer(model, spec, rows, TeacherConfig(steps=steps, rows=8, lr=2e-3), pad_id=tok.pad_token_id)
    for _ in range(steps): tr.one_step()
    return tr.adapters.detach()

@call_parse
def main(
    n:int=100, # prompts
    steps:int=16, # of the adapter's training
    kinds:str='F16,Q8_0', # of weights
    out:str='results/gguf/llama_cpp.json', # the result
):
    "Compare greedy text"
    torch.set_num_threads(1); t0 = time.time()
    model,tok = load_base(NAME, torch.float32)
    tasks = builtin_tasks(n_train=16, n_test=10)[::6]
    ad = trained(model, tok, tasks, steps)
    prompts = [e.prompt for t in tasks for e in t.test][:n]
    texts = [tok.decode(r.ids[:r.n_prompt]) for r in encode_rows(tok, [e for t in tasks for e in t.test][:n], Template(), 256)]
    want = dict(base=answers(model, tok, prompts, max_new=6), adapted=answers(model, tok, prompts, ad, max_new=6))
    print(f'{time.time()-t0:.0f} s', 'changed by the adapter:', sum(a!=b for a,b in zip(*want.values())), flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as d:
        template = from_package(PACKAGED[NAME], d)
        lora = save_gguf_lora(ad, f'{d}/a.gguf', model.config)
        for kind in kinds.split(','):
            f = as_gguf(model, template, f'{d}/{kind}.gguf', kind)
            m = merged_gguf(ad, f, f'{d}/merged.gguf', model.config, kind=kind)
            for what,args in dict(base=(f,), lora=(f,lora), merged=(m,)).items():
                got = [o.split(tok.eos_token)[0].strip() for o in llama_cpp(args[0], texts, *args[1:])]
                same = answers(unpacked(args[0], model), tok, prompts, ad if what=='lora' else None, max_new=6)
                def equal(xs): return sum(a==b for a,b in zip(got, xs))
                rows.append(dict(kind=kind, what=what, equal=equal(want['base' if what=='base' else 'adapted']), equal_same_weights=equal(same),
                    of=len(texts), example=[texts[0][-60:], got[0]]))
                print(f'{time.time()-t0:.0f} s', rows[-1], flush=True)
    changed = sum(a!=b for a,b in zip(want['base'], want['adapted']))
    write_json(out, dict(made_by='experiments/gguf_llama.py', base=NAME, steps=steps, tokens=6, seed=0, device='cpu', commit=this_commit(),
        versions=versions('xllamacpp') if hasattr(xllamacpp,'__version__') else versions(), changed_by_the_adapter=changed, rows=rows))

"""Does llama.cpp say what transformers says? A base with an adapter of a few steps, greedy, on prompts of built-in tasks: base, LoRA
beside it, adapter merged; in several kinds of weights. Transformers computes three times: with the model's own weights, with the
weights as the file rounds them, and with inputs of products rounded, too, as llama.cpp does on CPUs. Makes results/gguf/llama_cpp.json,
or llama_cpp_gemma.json. Needs a runtime: pip install xllamacpp.
    python experiments/gguf_llama.py [--base google/gemma-3-270m --kinds Q4_K_M,F16]"""
import copy, json, tempfile, time
from contextlib import contextmanager, nullcontext
from pathlib import Path
import gguf, torch, xllamacpp
from fastcore.script import call_parse
from dnd_nb.adapter import Adapters, LoraSpec, apply_adapters
from dnd_nb.crew import this_commit, versions
from dnd_nb.evaluate import answers
from dnd_nb.io.files import read_json, write_json
from dnd_nb.io.gguf import _add, _np, _to, _turned, copied, gguf_names, merged_gguf, save_gguf_lora
from dnd_nb.model import PACKAGED, from_package, load_base
from dnd_nb.task import Template, encode_rows
from dnd_nb.tasks.builtin import builtin_tasks
from dnd_nb.teacher import AdapterTrainer, TeacherConfig

SMOL = 'HuggingFaceTB/SmolLM2-135M-Instruct'
NAME = SMOL # gguf_layouts.py takes its tokenizer

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

def eight_bits(x, block):
    "x in blocks, each as whole numbers up to 127 and one scale"
    b = x.unflatten(-1, (-1, block))
    s = b.abs().amax(-1, keepdim=True)/127
    if block==32: s = s.half().float() # Q8_0 keeps its scale in 16 bits, Q8_K in 32
    return ((b/s.clamp(min=1e-30)).round()*s).view_as(x)

@contextmanager
def rounded_inputs(model, path):
    "Inputs of products as llama.cpp has them: 8 bits in blocks of 32, or of 256 beside K-quants; 16 bits beside F16"
    kinds = {t.name:t.tensor_type.name for t in gguf.GGUFReader(path).tensors}
    mods = {k:m for k,m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    names = gguf_names(mods, model.config)
    def hook(kind):
        if kind.startswith('F') or kind=='BF16': return lambda m, a: (a[0].half().to(a[0].dtype), *a[1:])
        return lambda m, a: (eight_bits(a[0], 256 if '_K' in kind else 32), *a[1:])
    hs = [m.register_forward_pre_hook(hook(kinds.get(names[k]) or kinds['token_embd.weight'])) for k,m in mods.items()]
    try: yield model
    finally: [h.remove() for h in hs]

def begins(tok): return tok.bos_token_id in tok('').input_ids # does it put a token before every text, as llama.cpp then does?

@torch.no_grad()
def closest_calls(model, tok, texts, ad, n):
    "Of each greedy answer, the smallest difference between the two best logits on its way"
    res = []
    for t in texts:
        x = tok(t, return_tensors='pt', add_special_tokens=begins(tok)).input_ids
        with apply_adapters(model, ad) if ad is not None else nullcontext():
            o = model.generate(x, attention_mask=torch.ones_like(x), max_new_tokens=n, do_sample=False,
                output_logits=True, return_dict_in_generate=True)
        two = torch.cat(o.logits).float().topk(2).values
        res.append(float((two[:,0]-two[:,1]).min()))
    return torch.tensor(res)

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

def made(kind, model, template, ad, lora, d):
    "what → (model file, LoRA file or None) of a kind of weights; Q8_0/F32 holds weights rounded to Q8_0 in 32 bits"
    known = kind in ('F32','F16','BF16','Q8_0')
    f = as_gguf(model, template, f'{d}/base.gguf', kind[:4]) if known or kind=='Q8_0/F32' else str(template)
    if kind=='Q8_0/F32': f = as_gguf(unpacked(f, model), template, f'{d}/wide.gguf', 'F32')
    m = merged_gguf(ad, f, f'{d}/merged.gguf', model.config, kind=kind if known else 'Q8_0')
    return dict(base=(f,None), lora=(f,lora)) | ({} if kind=='Q8_0/F32' else dict(merged=(m,None)))

def compare(path, lora, ad, what, want, model, tok, prompts, texts, n):
    "How many texts of llama.cpp are those of transformers, three ways; and how many stay when only the inputs are rounded"
    got = [o.split(tok.eos_token)[0].strip() for o in llama_cpp(path, texts, lora, n)]
    own,on = unpacked(path, model),ad if what=='lora' else None
    same = answers(own, tok, prompts, on, max_new=n)
    with rounded_inputs(own, path): near = answers(own, tok, prompts, on, max_new=n)
    ok = [a==b for a,b in zip(got, same)]
    def equal(xs, ys=got): return sum(a==b for a,b in zip(ys, xs))
    def middle(which): # of at most 20 prompts
        xs = [t for t,k in zip(texts, ok) if k==which][:20]
        return round(float(closest_calls(own, tok, xs, on, n).median()), 3) if xs else None
    return dict(what=what, equal=equal(want), equal_same_weights=equal(same), equal_same_inputs=equal(near),
        inputs_alone=equal(same, near), of=len(got),
        closest_call=middle(True), closest_call_where_other=middle(False), example=[texts[0][-60:], got[0]])

@call_parse
def main(
    n:int=100, # prompts
    steps:int=16, # of the adapter's training
    base:str=SMOL, # a model that comes as a GGUF file from the package index
    kinds:str='F16,Q8_0,Q8_0/F32', # of weights; any other name is the file as it came
    tokens:int=6, # of an answer
    out:str='results/gguf/llama_cpp.json', # the result; rows of other kinds in it stay
):
    "Compare greedy text"
    torch.set_num_threads(1); t0 = time.time()
    model,tok = load_base(base, torch.float32)
    tasks = builtin_tasks(n_train=16, n_test=10)[::6]
    ad = trained(model, tok, tasks, steps)
    test = [e for t in tasks for e in t.test][:n]
    prompts = [e.prompt for e in test]
    texts = [tok.decode(r.ids[:r.n_prompt], skip_special_tokens=begins(tok)) for r in encode_rows(tok, test, Template(), 256)]
    want = dict(base=answers(model, tok, prompts, max_new=tokens), adapted=answers(model, tok, prompts, ad, max_new=tokens))
    changed = sum(a!=b for a,b in zip(want['base'], want['adapted']))
    print(f'{time.time()-t0:.0f} s', 'changed by the adapter:', changed, flush=True)
    rows = [r for r in read_json(out)['rows'] if r['kind'] not in kinds.split(',')] if Path(out).exists() else []
    with tempfile.TemporaryDirectory() as d:
        template = from_package(PACKAGED[base], d)
        lora = save_gguf_lora(ad, f'{d}/a.gguf', model.config)
        for kind in kinds.split(','):
            files = made(kind, model, template, ad, lora, d)
            for what,args in files.items():
                w = want['base' if what=='base' else 'adapted']
                rows.append(dict(kind=kind) | compare(*args, ad, what, w, model, tok, prompts, texts, tokens))
                print(f'{time.time()-t0:.0f} s', rows[-1], flush=True)
            write_json(out, dict(made_by='experiments/gguf_llama.py', base=base, steps=steps, tokens=tokens, seed=0, device='cpu',
                commit=this_commit(), versions=versions('xllamacpp'), changed_by_the_adapter=changed, rows=rows))

"""Does llama.cpp say what transformers says? A base with an adapter of a few steps, greedy, on prompts of built-in tasks: base, base with
four examples in context, LoRA beside it, adapter merged; in several kinds of weights. Transformers computes twice: with the model's own
weights, and with the weights as the file rounds them. llama.cpp computes three times: as it comes; with keys and values in 32 bits in place
of 16 and without flash attention, which shows how far it is from itself; and from the same weights unpacked to 32 bits, where it rounds no
inputs. Where it rounds them to 8 bits, transformers does so, too, prompts together and one by one: how far is such arithmetic from itself?
Makes results/gguf/llama_cpp.json. Needs a runtime: pip install xllamacpp.
    python experiments/gguf_llama.py [--base google/gemma-3-270m --kinds F16,Q8_0,Q4_K_M]"""
import copy, json, tempfile, time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
import gguf, torch, xllamacpp
from fastcore.script import call_parse, store_true
from transformers import AutoModelForCausalLM
from dnd_nb.adapter import Adapters, LoraSpec, apply_adapters
from dnd_nb.crew import this_commit, versions
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

def wide_file(path, out):
    "The same GGUF file with every matrix unpacked to 32 bits"
    r = gguf.GGUFReader(path)
    with open(out, 'wb') as f:
        w = copied(r)
        for t in r.tensors: _add(w, t.name, gguf.quants.dequantize(t.data, t.tensor_type), 'F32')
        _to(w, f)
    return str(out)

def apart_from_loader(path, model):
    "Largest difference between `unpacked` and what transformers itself loads from the file"
    f = Path(path)
    got = AutoModelForCausalLM.from_pretrained(f.parent, gguf_file=f.name, dtype=torch.float32).state_dict()
    return max(float((v-got[k]).abs().max()) for k,v in unpacked(path, model).state_dict().items() if k in got)

def eight_bits(x):
    "x [.., 32·n] as llama.cpp rounds inputs beside Q8_0 weights: 8 bits and one step a block of 32"
    b = x.unflatten(-1, (-1,32)); step = b.abs().amax(-1, keepdim=True)/127
    return ((b/step.clamp_min(1e-30)).round()*step.half().float()).flatten(-2)

def rounding(model):
    "The model, with the inputs of every product rounded"
    for m in model.modules():
        if isinstance(m, torch.nn.Linear): m.register_forward_pre_hook(lambda m,a: (eight_bits(a[0]),))
    return model

def begins(tok): return tok.bos_token_id in tok('').input_ids # does it put a token before every text, as llama.cpp then does?

@dataclass
class Greedy:
    "Of transformers, on the way to each text"
    texts:list
    ids:list # tokens of each
    gaps:list # smallest difference between the two best logits
    logps:list # [tokens, V] log-probabilities

@torch.no_grad()
def greedy(model, tok, texts, ad, n, together=25):
    "Of transformers: texts and how they came about"
    res = []
    for i in range(0, len(texts), together):
        b = tok(texts[i:i+together], return_tensors='pt', padding=True, padding_side='left', add_special_tokens=begins(tok))
        with apply_adapters(model, ad) if ad is not None else nullcontext():
            o = model.generate(**b, max_new_tokens=n, do_sample=False, output_logits=True, return_dict_in_generate=True)
        ids,ls = o.sequences[:,b.input_ids.shape[1]:],torch.stack(o.logits, 1).float() # [rows, tokens], [rows, tokens, V]
        two = ls.topk(2).values
        ends = ids==tok.eos_token_id # what comes after an end is no choice
        gaps = (two[...,0]-two[...,1]).masked_fill(ends.cumsum(1)-ends.int()>0, float('inf')).amin(1)
        said = [tok.decode([t for t in r if t not in (tok.eos_token_id, tok.pad_token_id)]).strip() for r in ids.tolist()]
        res += zip(said, ids.tolist(), gaps.tolist(), ls.log_softmax(-1))
    return Greedy(*map(list, zip(*res)))

def parting(g, i, ids):
    "By how many nats transformers prefers its own token where the tokens of text i first differ; None where they do not"
    return next((float(g.logps[i][j,a]-g.logps[i][j,b]) for j,(a,b) in enumerate(zip(g.ids[i], ids)) if a!=b), None)

def completions(path, prompts, lora=None, n=6, wide=False, **kw):
    "What llama.cpp says of one prompt after another; wide: with keys and values in 32 bits, without flash attention"
    p = xllamacpp.CommonParams()
    p.model.path,p.n_ctx,p.n_parallel,p.warmup,p.verbosity = str(path),512,1,False,-1
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
    if wide:
        p.cache_type_k = p.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        p.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if lora: p.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(lora), 1.)]
    s = xllamacpp.Server(p)
    for x in prompts:
        o = s.handle_completions(dict(prompt=x, temperature=0, top_k=1, n_predict=n, cache_prompt=False) | kw)
        yield (o if isinstance(o, dict) else json.loads(o))['choices'][0]

def llama_cpp(path, prompts, lora=None, n=6):
    "Greedy text of llama.cpp"
    return [o['text'] for o in completions(path, prompts, lora, n)]

def theirs(path, tok, texts, lora, n, wide=False):
    "Of llama.cpp: texts, tokens, and log-probabilities of five first tokens"
    os = list(completions(path, texts, lora, n, wide, logprobs=5))
    said = [o['logprobs']['content'] for o in os]
    first = [{t['id']:t['logprob'] for t in c[0]['top_logprobs']} for c in said]
    return [o['text'].split(tok.eos_token)[0].strip() for o in os],[[t['id'] for t in c] for c in said],first

def trained(model, tok, tasks, steps):
    "One adapter for all these tasks, by a few steps"
    spec = LoraSpec.from_model(model, 'all-linear', rank=8)
    rows = [encode_rows(tok, [e for t in tasks for e in t.train], Template())]
    tr = AdapterTrainer(model, spec, rows, TeacherConfig(steps=steps, rows=8, lr=2e-3), pad_id=tok.pad_token_id)
    for _ in range(steps): tr.one_step()
    return tr.adapters.detach()

def made(kind, model, template, ad, lora, d):
    "what → (model file, LoRA file or None) of a kind of weights"
    known = kind in ('F32','F16','BF16','Q8_0')
    f = as_gguf(model, template, f'{d}/base.gguf', kind) if known else str(template)
    m = merged_gguf(ad, f, f'{d}/merged.gguf', model.config, kind=kind if known else 'Q8_0')
    return dict(base=(f,None), shots=(f,None), lora=(f,lora), merged=(m,None))

def middle(xs): return round(float(torch.as_tensor(xs).median()), 3) if len(xs) else None

def equal(xs, ys): return sum(a==b for a,b in zip(xs, ys))

def otherwise(path, got, same, ad, lora, model, tok, texts, n):
    "The same weights without rounded inputs in llama.cpp, and with them in transformers"
    with tempfile.TemporaryDirectory() as d:
        plain = theirs(wide_file(path, f'{d}/wide.gguf'), tok, texts, lora, n)[0]
    m = rounding(unpacked(path, model))
    many,one = (greedy(m, tok, texts, ad, n, k).texts for k in (25, 1))
    return dict(equal_unpacked=equal(plain, same), rounded_equal=equal(got, many), rounded_itself=equal(many, one))

def compare(path, lora, ad, want, model, tok, texts, n, rounds=False, once=False):
    "How many texts of llama.cpp are those of transformers, with its own weights and with the file's; and its own, computed otherwise"
    got,ids,first = theirs(path, tok, texts, lora, n)
    again = None if once else theirs(path, tok, texts, lora, n, wide=True)[0]
    same = greedy(unpacked(path, model), tok, texts, ad, n)
    off = torch.tensor([abs(float(l[0,i])-v) for l,f in zip(same.logps, first) for i,v in f.items()])
    most = float(off.quantile(.95))
    clear = [i for i,c in enumerate(same.gaps) if c>most]
    part = [parting(same, i, x) for i,x in enumerate(ids) if got[i]!=same.texts[i]]
    row = dict(equal=equal(got, want), equal_same_weights=equal(got, same.texts), equal_itself=again and equal(got, again), of=len(got),
        off=middle(off), off_95=round(most, 3), clear=len(clear), equal_clear=sum(got[i]==same.texts[i] for i in clear),
        parting=sorted(round(p, 3) for p in part if p is not None))
    if rounds: row |= otherwise(path, got, same.texts, ad, lora, model, tok, texts, n)
    return row | dict(example=[texts[0][-60:], got[0]])

def shown(tok, task, e, k=4):
    "A prompt behind k closed examples of its task"
    t = Template()
    return ''.join(''.join(t.render(o))+tok.eos_token+'\n' for o in task.train[:k]) + t.prompt.format(prompt=e.prompt)

@call_parse
def main(
    n:int=100, # prompts
    steps:int=16, # of the adapter's training
    base:str=SMOL, # a model that comes as a GGUF file from the package index
    kinds:str='F16,Q8_0', # of weights; any other name is the file as it came
    what:str='base,shots,lora,merged', # which of these
    tokens:int=6, # of an answer
    once:store_true=False, # leave out llama.cpp's second computation
    out:str='results/gguf/llama_cpp.json', # the result; runs of other bases in it stay
):
    "Compare greedy text"
    torch.set_num_threads(1); t0,whats = time.time(),what.split(',')
    def say(*a): print(f'{time.time()-t0:.0f} s', *a, flush=True)
    model,tok = load_base(base, torch.float32)
    tasks = builtin_tasks(n_train=16, n_test=10)[::6]
    ad = trained(model, tok, tasks, steps); say('trained')
    pairs = [(t,e) for t in tasks for e in t.test][:n]
    rows = encode_rows(tok, [e for _,e in pairs], Template(), 256)
    alone = [tok.decode(r.ids[:r.n_prompt], skip_special_tokens=begins(tok)) for r in rows]
    texts = dict(base=alone, shots=[shown(tok, *p) for p in pairs], lora=alone, merged=alone)
    want = {w:greedy(model, tok, texts[w], ad if w=='lora' else None, tokens).texts for w in ('base','shots','lora')}
    want['merged'] = want['lora']
    changed = sum(a!=b for a,b in zip(want['base'], want['lora'])); say('changed by the adapter:', changed)
    runs = [r for r in read_json(out).get('runs', []) if r['base']!=base] if Path(out).exists() else []
    run = dict(base=base, steps=steps, tokens=tokens, seed=0, device='cpu', commit=this_commit(), versions=versions('xllamacpp'),
        changed_by_the_adapter=changed, apart_from_loader=0., rows=[])
    with tempfile.TemporaryDirectory() as d:
        template = from_package(PACKAGED[base], d)
        lora = save_gguf_lora(ad, f'{d}/a.gguf', model.config)
        for kind in kinds.split(','):
            for what,(f,l) in made(kind, model, template, ad, lora, d).items():
                if what not in whats: continue
                if what=='base': run['apart_from_loader'] = max(run['apart_from_loader'], apart_from_loader(f, model))
                rounds = kind=='Q8_0' and what in ('base','lora')
                row = compare(f, l, ad if l else None, want[what], model, tok, texts[what], tokens, rounds, once)
                run['rows'].append(dict(kind=kind, what=what) | row); say(run['rows'][-1])
                write_json(out, dict(made_by='experiments/gguf_llama.py', runs=runs+[run]))

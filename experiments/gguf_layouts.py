"""Does llama.cpp read what io/gguf writes for each architecture? Tiny random models with SmolLM2's tokenizer, as GGUF files written here,
greedy text of base, LoRA and merged model against transformers. Makes results/gguf/layouts.json. Needs: pip install xllamacpp.
    python experiments/gguf_layouts.py [--kinds llama,gpt2]"""
import sys, tempfile
from pathlib import Path
import gguf, torch
from fastcore.script import call_parse
from transformers import AutoConfig, AutoModelForCausalLM
sys.path.insert(0, str(Path(__file__).parent))
from gguf_llama import NAME, llama_cpp
from dnd_nb.adapter import Adapters, LoraSpec, apply_adapters
from dnd_nb.crew import this_commit, versions
from dnd_nb.io.files import write_json
from dnd_nb.io.gguf import ARCHS, _arch, _np, _to, _turned, merged_gguf, save_gguf_lora
from dnd_nb.model import PACKAGED, from_package, load_base, quiet

BASE = dict(vocab_size=49152, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    head_dim=16, max_position_embeddings=512, initializer_range=.15, bos_token_id=1, eos_token_id=2, pad_token_id=2)
OWN = dict(gpt2=dict(n_inner=128, num_key_value_heads=4), phi3=dict(num_key_value_heads=4),
    gemma2=dict(query_pre_attn_scalar=16, sliding_window=256), gemma3_text=dict(query_pre_attn_scalar=16, sliding_window=256))
TEXTS = ('The cat sat', 'One two three', 'Hello there', 'def f(x):')

def settings(w, c):
    "What llama.cpp wants to know of a model, in a GGUFWriter"
    w.add_name('tiny'); w.add_vocab_size(c.vocab_size); w.add_block_count(c.num_hidden_layers); w.add_context_length(512)
    w.add_embedding_length(c.hidden_size); w.add_feed_forward_length(BASE['intermediate_size'])
    w.add_head_count(c.num_attention_heads); w.add_head_count_kv(getattr(c, 'num_key_value_heads', c.num_attention_heads))
    if c.model_type=='gpt2': return w.add_layer_norm_eps(c.layer_norm_epsilon)
    rope = c.rope_parameters.get('full_attention', c.rope_parameters)
    w.add_layer_norm_rms_eps(c.rms_norm_eps); w.add_rope_freq_base(float(rope['rope_theta'])); w.add_rope_dimension_count(16)
    w.add_key_length(16); w.add_value_length(16)
    if c.model_type in ('gemma2','gemma3_text'): w.add_sliding_window(256)
    if c.model_type=='gemma2':
        w.add_attn_logit_softcapping(c.attn_logit_softcapping); w.add_final_logit_softcapping(c.final_logit_softcapping)
    if c.model_type=='granite':
        w.add_attention_scale(c.attention_multiplier); w.add_embedding_scale(c.embedding_multiplier)
        w.add_residual_scale(c.residual_multiplier); w.add_logit_scale(c.logits_scaling)

def write(m, tokenizer, path):
    "A tiny model as a GGUF file, with the tokenizer of an open one"
    c,w = m.config,gguf.GGUFWriter(None, _arch(m.config))
    for k,f in tokenizer.fields.items():
        listed = f.types[0]==gguf.GGUFValueType.ARRAY
        if k.startswith('tokenizer.'): w.add_key_value(k, f.contents(), f.types[0], sub_type=f.types[-1] if listed else None)
    settings(w, c)
    names = gguf.get_tensor_name_map({v:k for k,v in gguf.MODEL_ARCH_NAMES.items()}[_arch(c)], c.num_hidden_layers)
    for k,p in m.named_parameters():
        mod,x = k.rsplit('.', 1)[0],p.detach()
        if type(m.get_submodule(mod)).__name__=='Conv1D' and p.ndim==2: x = x.T
        if 'norm' in k and c.model_type.startswith('gemma'): x = x+1 # there the weight is one more
        w.add_tensor(names.get_name(k, try_suffixes=('.weight','.bias')), _np(_turned(x, mod, c)))
    with open(path, 'wb') as f: _to(w, f)
    return path

def greedy(m, tok, ad=None, n=8):
    "Text of transformers"
    def one(t):
        x = tok(t, return_tensors='pt').input_ids
        kw = dict(attention_mask=torch.ones_like(x), max_new_tokens=n, do_sample=False, eos_token_id=None, pad_token_id=2)
        if ad is None: return m.generate(x, **kw)
        with apply_adapters(m, ad): return m.generate(x, **kw)
    return [tok.decode(one(t)[0,len(tok(t).input_ids):]).strip() for t in TEXTS]

def check(kind, tok, tokenizer, d):
    "How many texts of one architecture are equal"
    torch.manual_seed(0)
    m = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **(BASE | OWN.get(kind, {}))), attn_implementation='eager').eval()
    ad = Adapters.randn(LoraSpec.from_model(m, 'all-linear'), 1, std=.15)
    f = write(m, tokenizer, f'{d}/m.gguf')
    lora,full = save_gguf_lora(ad, f'{d}/a.gguf', m.config),merged_gguf(ad, f, f'{d}/f.gguf', m.config, kind='F32')
    base,want = greedy(m, tok),greedy(m, tok, ad)
    def equal(path, want, lora=None): return sum(a.strip()==b for a,b in zip(llama_cpp(path, TEXTS, lora, n=8), want))
    return dict(kind=kind, base=equal(f, base), lora=equal(f, want, lora), merged=equal(full, want), of=len(TEXTS),
        changed_by_the_adapter=sum(a!=b for a,b in zip(base, want)))

@call_parse
def main(
    kinds:str=None, # some architectures, separated by commas; all that io/gguf knows if None
    out:str='results/gguf/layouts.json', # the result
):
    "Compare greedy text of llama.cpp and transformers on tiny models"
    torch.set_num_threads(1)
    _,tok = load_base(NAME)
    rows = []
    with tempfile.TemporaryDirectory() as d, torch.no_grad(), quiet():
        tokenizer = gguf.GGUFReader(from_package(PACKAGED[NAME], d))
        for k in kinds.split(',') if kinds else ARCHS: rows.append(check(k, tok, tokenizer, d)); print(rows[-1], flush=True)
    write_json(out, dict(made_by='experiments/gguf_layouts.py', seed=0, device='cpu', dtype='float32', tokens=8, config=dict(base=BASE, own=OWN),
        commit=this_commit(), versions=versions(), rows=rows))

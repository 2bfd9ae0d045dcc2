"""Tiny random models of many families, each against PEFT: what carries a LoRA, logits, three adapters in a batch, a training
step, greedy text, export, import, scores behind a cache. Makes results/models/models.csv, and about.json beside it.
    python experiments/models.py                    all families (about 4 minutes on one core)
    python experiments/models.py --kinds llama,opt  some of them, printed only"""
import copy, json, tempfile, warnings
from pathlib import Path
import pandas as pd, peft, torch, transformers
from fastcore.script import call_parse
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from dnd_nb.adapter import Adapters, LoraSpec, apply_adapters, _experts, _modules
from dnd_nb.crew import this_commit, versions
from dnd_nb.evaluate import score
from dnd_nb.io.files import write_json
from dnd_nb.io.peft import load_peft, peft_tensors, save_peft
from dnd_nb.model import _ready, quiet, tiny_tokenizer
from dnd_nb.task import Example, Template, encode_rows

PLAIN = '''apertus arcee biogpt bitnet bloom cohere cohere2 cwm ctrl diffllama doge ernie4_5 exaone exaone4 fuyu gemma gemma2
    gemma3_text glm glm4 gpt-sw3 gpt2 gpt_bigcode gpt_neox gpt_neox_japanese granite helium hunyuan_v1_dense hyperclovax internlm3
    jais2 lfm2 llama minicpm3 ministral ministral3 mistral modernbert-decoder mpt nanochat nemotron olmo olmo2 olmo3 openai-gpt opt
    persimmon phi phi3 qwen2 qwen3 rwkv seed_oss smollm3 stablelm starcoder2 vaultgemma xglm youtu'''.split()
EXPERTS = '''aria_text cohere2_moe deepseek_v2 deepseek_v3 dots1 ernie4_5_moe exaone_moe flex_olmo glm4_moe glm4_moe_lite gpt_oss
    granitemoe granitemoeshared hunyuan_v1_moe jetmoe longcat_flash minimax minimax_m2 mixtral olmoe phimoe qwen2_moe qwen3_moe
    solar_open'''.split()
MAMBA = dict(mamba_n_heads=8, mamba_d_head=8, mamba_d_state=8, mamba_n_groups=1)
LINEAR = dict(linear_num_key_heads=2, linear_num_value_heads=2, linear_key_head_dim=8, linear_value_head_dim=8,
    layer_types=['linear_attention','full_attention'])
STATES = dict(mamba=dict(state_size=8, time_step_rank=4), falcon_mamba=dict(state_size=8, time_step_rank=4),
    mamba2=dict(num_heads=8, state_size=8, n_groups=1), bamba=dict(attn_layer_indices=[1], **MAMBA),
    granitemoehybrid=dict(layer_types=['mamba','attention'], shared_intermediate_size=32, **MAMBA), falcon_h1=dict(mamba_d_ssm=64, **MAMBA),
    jamba=dict(attn_layer_period=2, attn_layer_offset=1, expert_layer_period=2, expert_layer_offset=1, mamba_d_state=8, mamba_dt_rank=4,
        use_mamba_kernels=False),
    nemotron_h=dict(layers_block_type=['mamba','attention'], mamba_num_heads=8, mamba_head_dim=8, ssm_state_size=8, n_groups=1),
    recurrent_gemma=dict(block_types=['recurrent','attention'], lru_width=32, attention_window_size=32),
    zamba2=dict(layers_block_type=['mamba','hybrid'], mamba_ngroups=1, n_mamba_heads=8, mamba_d_state=8, use_mem_rope=False),
    qwen3_next=LINEAR, qwen3_5_text=LINEAR, lfm2_moe=dict(layer_types=['conv','full_attention'], num_dense_layers=1))
ODD = dict(falcon=dict(head_dim=None), gptj=dict(rotary_dim=4), codegen=dict(rotary_dim=4),
    gpt_neo=dict(attention_types=[[['global','local'],1]]), llama4_text=dict(intermediate_size_mlp=64),
    gemma4_text=dict(vocab_size_per_layer_input=264, hidden_size_per_layer_input=8, global_head_dim=8))
EYE = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=28, patch_size=14)
QWEN_EYE = dict(hidden_size=16, depth=1, num_heads=2, intermediate_size=32, out_hidden_size=32)
TEXT = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=64,
    vocab_size=264, head_dim=8)
ROPE = TEXT | dict(rope_parameters=dict(rope_type='default', rope_theta=1e4, mrope_section=[1,1,2]))
SEEING = dict(qwen2_5_vl=dict(text_config=ROPE, vision_config=QWEN_EYE),
    qwen2_vl=dict(text_config=ROPE, vision_config=dict(embed_dim=16, hidden_size=32, depth=1, num_heads=2)),
    qwen3_vl=dict(text_config=ROPE, vision_config=QWEN_EYE | dict(deepstack_visual_indexes=[0], num_position_embeddings=16)),
    gemma3=dict(text_config=TEXT | dict(query_pre_attn_scalar=8), vision_config=EYE, mm_tokens_per_image=4),
    mistral3=dict(text_config=TEXT | dict(model_type='mistral'), vision_config=EYE | dict(model_type='pixtral', head_dim=8)),
    llava=dict(text_config=TEXT | dict(model_type='llama'), vision_config=EYE | dict(model_type='clip_vision_model', projection_dim=16)),
    idefics3=dict(text_config=TEXT | dict(model_type='llama'), vision_config=EYE))
BASE = dict(vocab_size=264, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=4, head_dim=8, max_position_embeddings=512, pad_token_id=0, bos_token_id=2, eos_token_id=3,
    tie_word_embeddings=False, initializer_range=.1)
MOE = dict(num_experts=4, n_routed_experts=4, num_local_experts=4, moe_num_experts=4, moe_intermediate_size=32,
    num_experts_per_tok=2, moe_k=2, n_shared_experts=1, num_shared_experts=1, shared_expert_intermediate_size=32, n_group=1, topk_group=1,
    first_k_dense_replace=1, kv_lora_rank=8, q_lora_rank=8, qk_rope_head_dim=8, v_head_dim=8, qk_nope_head_dim=8)
OWN = dict(longcat_flash=dict(num_layers=1, ffn_hidden_size=32, expert_ffn_hidden_size=32, zero_expert_num=0, moe_topk=2),
    dots1=dict(layer_types=['full_attention']*2), **STATES, **ODD)
KINDS = {k:'decoder' for k in (*PLAIN, *ODD)} | {k:'experts' for k in EXPERTS}
KINDS |= {k:'state' for k in STATES} | {k:'multimodal' for k in SEEING}
FEW = ('llama','gpt2','gemma2','opt','qwen2_moe','mamba','deepseek_v3','qwen2_5_vl') # what is tested each time

def tiny(kind):
    "A random model of this family, of two layers"
    torch.manual_seed(0)
    if kind in SEEING: m = AutoModelForImageTextToText.from_config(AutoConfig.for_model(kind, **SEEING[kind]))
    else:
        kw = BASE | (MOE if kind in EXPERTS or kind in STATES or kind in ('minicpm3','youtu','llama4_text') else {}) | OWN.get(kind, {})
        m = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{k:v for k,v in kw.items() if v is not None}))
    m.dnd_id = 'tiny-'+kind
    return m.eval().requires_grad_(False)

def peft_targets(m):
    "What PEFT's all-linear is: every linear map but the output head"
    head = m.get_output_embeddings()
    return {k for k,o in m.named_modules() if o is not head and (isinstance(o, torch.nn.Linear) or type(o).__name__=='Conv1D')}

def under_peft(m, ad):
    "PEFT's model with the modules and values of one adapter"
    s = ad.spec
    kw = dict(target_modules=list(s.modules), fan_in_fan_out=s.fan_in_fan_out, task_type='CAUSAL_LM')
    c = peft.LoraConfig(r=s.rank, lora_alpha=s.alpha, **kw)
    pm = peft.get_peft_model(copy.deepcopy(m), c)
    odd = peft.set_peft_model_state_dict(pm, peft_tensors(ad)).unexpected_keys
    if odd: raise ValueError(f'PEFT did not take {len(odd)} keys (first: {odd[0]})')
    return pm.eval()

def gap(a, b): return float((a-b).abs().max())
def loss(logits): return logits.log_softmax(-1).square().mean()

def stepped(m, ad, pm, x):
    "Relative difference from PEFT's gradients, the adapters' values flat"
    flat = ad.flat().requires_grad_()
    with apply_adapters(m, Adapters.from_flat(ad.spec, flat)): loss(m(x, use_cache=False).logits).backward()
    loss(pm(x, use_cache=False).logits).backward()
    ps = dict(pm.named_parameters())
    def grad(k, w): p = ps[f'base_model.model.{k}.lora_{w}.default.weight']; return torch.zeros_like(p) if p.grad is None else p.grad
    g = torch.cat([grad(k,w).flatten() for k in ad.spec.modules for w in 'AB'])
    return float((flat.grad[0]-g).norm()/g.norm())

def behind_cache(m, tok):
    "Largest difference of scores from one plain pass over prompt and answer, for prompts of unequal length"
    xs = [Example('hi','a longer red'), Example('a much longer prompt here','red',['red','blue'])]
    def plain(e):
        r = encode_rows(tok, [e], Template(), 256)[0]
        x = torch.tensor([r.ids])
        return float(-m(x).logits[0,r.n_prompt-1:-1].log_softmax(-1).gather(1, x[0,r.n_prompt:,None]).sum())
    with torch.no_grad(): return max(abs(a-plain(e)) for a,e in zip(score(m, tok, xs).nll, xs))

def check(kind, tok):
    "A row of the table"
    m,x = tiny(kind),torch.randint(5, 260, (3,10), generator=torch.Generator().manual_seed(1))
    with warnings.catch_warnings(): warnings.simplefilter('ignore'); spec = LoraSpec.from_model(m, 'all-linear', rank=4)
    ours,theirs = set(spec.modules),peft_targets(m)
    same = 'equal' if ours==theirs else f'{len(theirs-ours)} fewer' if ours<theirs else 'other'
    row = dict(family=kind, kind=KINDS[kind], modules=len(ours), targets=same,
        fused=len(_experts(_modules(m))), elsewhere=len(spec.doubtful))
    def put(name, f):
        try: row[name] = f()
        except Exception as e: row[name] = f'{type(e).__name__}: {" ".join(str(e).split())[:160]}'
    keep = [k for k in spec.modules if k not in spec.doubtful]
    ad = Adapters.randn(LoraSpec.from_model(m, keep, rank=4, alpha=10), 3, std=.1)
    pms = [under_peft(m, a) for a in ad]
    with torch.no_grad(): want,base = [pm(x).logits for pm in pms],m(x).logits
    def under(a, rows=None):
        with torch.no_grad(), apply_adapters(m, a, rows): return m(x).logits
    row['effect'] = gap(want[0], base)
    put('logits', lambda: gap(under(ad[0]), want[0]))
    put('batch', lambda: gap(under(ad, [2,0,1]), torch.stack([want[r][i] for i,r in enumerate((2,0,1))])))
    put('step', lambda: stepped(m, ad[0], pms[0], x))
    def text(o): return o.generate(x[:1], attention_mask=torch.ones_like(x[:1]), max_new_tokens=5, do_sample=False).tolist()
    def same_text():
        with apply_adapters(m, ad[1]): return 'equal' if text(m)==text(pms[1]) else 'other'
    put('text', same_text)
    with tempfile.TemporaryDirectory() as d:
        def opened():
            pm = peft.PeftModel.from_pretrained(copy.deepcopy(m), save_peft(ad, d+'/a')).eval()
            with torch.no_grad(): return gap(pm(x).logits, want[0])
        def taken():
            pms[2].save_pretrained(d+'/b')
            return gap(load_peft(d+'/b', model=m).flat(), ad[2].flat())
        put('export', opened); put('import', taken)
    put('scores', lambda: behind_cache(m, tok))
    return row

def good(row):
    "Is every check of a row passed?"
    tol = max(1e-5, 1e-4*row['effect'])
    most = dict.fromkeys(('logits','batch','export','import'), tol) | dict(step=1e-3, scores=1e-3)
    return row['text']=='equal' and all(isinstance(row[k], float) and row[k]<t for k,t in most.items())

def table(kinds):
    "The rows of these families, with `good`"
    tok,rows = tiny_tokenizer(),[]
    for k in kinds:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            try: rows.append(check(k, tok))
            except Exception as e: rows.append(dict(family=k, kind=KINDS[k], note=f'{type(e).__name__}: {" ".join(str(e).split())[:160]}'))
        rows[-1]['good'] = 'note' not in rows[-1] and good(rows[-1])
    return pd.DataFrame(rows)

@call_parse
def main(
    kinds:str=None, # some families, separated by commas; printed only
    out:str='results/models', # folder of the table
):
    "Make the table of models tried"
    torch.set_num_threads(1)
    df = table(kinds.split(',') if kinds else KINDS)
    pd.set_option('display.width', 250, 'display.max_columns', 30, 'display.max_rows', 200)
    print(df.to_string())
    if kinds: return
    Path(out).mkdir(parents=True, exist_ok=True)
    df.to_csv(f'{out}/models.csv', index=False, float_format='%.2g')
    write_json(f'{out}/about.json', dict(made_by='experiments/models.py', seed=0, device='cpu', dtype='float32', rank=4, alpha=10, adapters=3,
        commit=this_commit(), versions=versions('peft'), config=dict(base=BASE, experts=MOE, own=OWN, multimodal=SEEING)))

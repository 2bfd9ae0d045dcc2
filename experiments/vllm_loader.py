"""Does vLLM's own loader take our folders? Its config helper, its rule for keys and its check of ranks, taken out of its wheel and run
without the rest of it. Makes results/vllm_loader.json.
    pip download --no-deps vllm && python experiments/vllm_loader.py vllm-*.whl"""
import ast, io, json, sys, tempfile, types, zipfile
from pathlib import Path
from fastcore.script import call_parse
from safetensors import safe_open
from dnd_nb.adapter import Adapters, LoraSpec
from dnd_nb.crew import this_commit, versions
from dnd_nb.io.files import write_json
from dnd_nb.io.peft import save_peft
from dnd_nb.io.vllm import vllm_rank
from dnd_nb.model import quiet
sys.path.insert(0, str(Path(__file__).parent))
from models import tiny

def stand_in(name, **kw):
    "A module with these names, so that the helper can be imported alone"
    sys.modules[name] = m = types.ModuleType(name); m.__dict__.update(kw)
    return m

def loader(wheel):
    "PEFTHelper and the function that reads keys"
    z = zipfile.ZipFile(wheel)
    silent = types.SimpleNamespace(info_once=lambda *a: None, warning_once=lambda *a: None)
    for n in ('vllm','vllm.config'): stand_in(n)
    stand_in('vllm.config.lora', LoRAConfig=object); stand_in('vllm.logger', init_logger=lambda n: silent)
    helper = stand_in('vllm_peft_helper')
    exec(compile(z.read('vllm/lora/peft_helper.py'), 'peft_helper.py', 'exec'), helper.__dict__) # noqa: S102, the wheel that is being tried
    tree = ast.parse(z.read('vllm/lora/utils.py'))
    f = next(o for o in tree.body if isinstance(o, ast.FunctionDef) and o.name=='parse_fine_tuned_lora_name')
    ns = {}
    exec(compile(ast.Module([f], []), 'utils.py', 'exec'), ns) # noqa: S102
    return helper.PEFTHelper,ns['parse_fine_tuned_lora_name'],next(n for n in z.namelist() if n.endswith('/METADATA'))

@call_parse
def main(
    wheel:str, # of vLLM
    out:str='results/vllm_loader.json', # the result
):
    "Give vLLM's loader folders of several families, ranks and scales"
    PEFTHelper,parse,meta = loader(wheel)
    rows = []
    for kind,rank,rslora in (('llama',8,False), ('qwen2',4,True), ('gemma2',12,False), ('opt',16,False), ('qwen2_moe',8,False), ('phi3',64,True)):
        with tempfile.TemporaryDirectory() as d, quiet():
            m = tiny(kind); spec = LoraSpec.from_model(m, 'all-linear', rank=rank, alpha=20, rslora=rslora)
            f = save_peft(Adapters.randn(spec, 1), f'{d}/a')
            h = PEFTHelper.from_local_dir(str(f), 512)
            most = vllm_rank(rank)
            h.validate_legal(types.SimpleNamespace(max_lora_rank=most))
            with safe_open(f/'adapter_model.safetensors', 'pt') as o: keys = list(o.keys())
            known = [parse(k) for k in keys]
            ok = {n for n,_ in known}==set(spec.modules) and sum(a for _,a in known)==len(spec.modules)
            rows.append(dict(family=kind, rank=rank, rslora=rslora, keys=len(known)*ok, of=len(keys), legal=True,
                scale=h.vllm_lora_scaling_factor, ours=spec.scale, max_lora_rank=most))
            print(rows[-1])
    v = meta.split('/')[0].removesuffix('.dist-info').split('-')[1]
    write_json(out, dict(made_by='experiments/vllm_loader.py', seed=0, device='cpu', vllm=v, commit=this_commit(), versions=versions('peft'), rows=rows))

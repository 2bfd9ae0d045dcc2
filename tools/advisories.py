"""Known advisories from a clone of PyPA's advisory database, where no service can be asked:
`git clone https://github.com/pypa/advisory-database; python tools/advisories.py advisory-database lowest.txt highest.txt`,
the lists as `uv pip compile` writes them (`tools/audit.sh`). What was published after the clone's last commit is not known to it."""
import json, re, subprocess
from pathlib import Path
import yaml
from fastcore.script import call_parse, Param
from packaging.utils import canonicalize_name
from packaging.version import Version

def git(repo, *args): return subprocess.run(['git','-C',repo,*args], capture_output=True, text=True, check=True).stdout

def pinned(path):
    "Package → version, of a list of requirements"
    found = re.findall(r'^([\w.-]+)==([\w.+!-]+)', Path(path).read_text(encoding='utf-8'), re.M)
    return {canonicalize_name(n):v for n,v in found}

def hit(affected, name, version):
    "Does this entry of an advisory meet this version?"
    if canonicalize_name(affected['package']['name'])!=name: return False
    if version in affected.get('versions', ()): return True
    v = Version(version)
    for r in affected.get('ranges', ()):
        if r['type']!='ECOSYSTEM': continue
        inside = False
        for e in r['events']: # in order
            if 'introduced' in e: inside = v>=Version(e['introduced']) or inside
            if 'fixed' in e and v>=Version(e['fixed']): inside = False
            if 'last_affected' in e and v>Version(e['last_affected']): inside = False
        if inside: return True
    return False

@call_parse
def main(
    database:str, # clone of the database
    lists:Param('lists of pinned packages', str, nargs='+'),
    out:str='', # JSON to write
):
    "Look up pinned packages; exit 1 if an advisory meets one"
    sets,res = {Path(l).stem:pinned(l) for l in lists},{}
    wanted = {n for s in sets.values() for n in s}
    paths = git(database, 'ls-tree','-r','HEAD','--name-only','vulns').split('\n')
    some = [p for p in paths if p.count('/')==2 and canonicalize_name(p.split('/')[1]) in wanted]
    all_ = [yaml.safe_load(git(database, 'show', f'HEAD:{p}')) for p in some]
    for l,s in sets.items():
        res[l] = [dict(package=n, version=v, advisory=y['id'], aliases=y.get('aliases', [])) for n,v in s.items()
            for y in all_ if 'withdrawn' not in y and any(hit(a, n, v) for a in y['affected'])]
        print(f'{l}: {len(s)} packages, {len(res[l])} advisories', *(f'  {r}' for r in res[l]), sep='\n')
    until = git(database, 'log','-1','--format=%cs').strip()
    print(f'{len(all_)} advisories about these packages in the database, whose last commit is of {until}')
    if out: Path(out).write_text(json.dumps(dict(database='pypa/advisory-database', until=until, commit=git(database,'rev-parse','HEAD').strip(),
        packages={l:len(s) for l,s in sets.items()}, advisories=len(all_), met=res), indent=1)+'\n', encoding='utf-8')
    raise SystemExit(any(res.values()))

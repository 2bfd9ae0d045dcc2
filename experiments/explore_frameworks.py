"""Five ways to put the explorer into a browser, by size and start: what `pip` would add to this environment, and the seconds until the same small app answers.
    python experiments/explore_frameworks.py OUT.json
Each is installed into a scratch folder beside this environment. The app: a table of examples, a button, a text."""
import json, os, shutil, socket, subprocess, sys, tempfile, time
from pathlib import Path
from urllib.request import urlopen
from fastcore.script import call_parse

TABLE = "pd.DataFrame(dict(prompt=['a','b'], answer=['x','y']))"
APPS = dict(
    gradio=('app.py', f'''import gradio as gr, pandas as pd, sys
with gr.Blocks() as app:
    t = gr.Dataframe({TABLE}, interactive=True); b = gr.Button('Look'); o = gr.Markdown(); b.click(lambda d: str(len(d)), t, o)
app.launch(server_port=int(sys.argv[1]), quiet=True)''', ['{python}','app.py','{port}']),
    panel=('app.py', f'''import panel as pn, pandas as pd
pn.extension('tabulator')
t = pn.widgets.Tabulator({TABLE}); b = pn.widgets.Button(name='Look'); o = pn.pane.Markdown(''); b.on_click(lambda e: setattr(o, 'object', str(len(t.value))))
pn.Column(t, b, o).servable()''', ['{python}','-m','panel','serve','app.py','--port','{port}']),
    solara=('app.py', f'''import solara, pandas as pd
n = solara.reactive('')
@solara.component
def Page():
    solara.DataFrame({TABLE}); solara.Button('Look', on_click=lambda: n.set('2')); solara.Markdown(n.value)''', ['{python}','-m','solara','run','app.py','--port','{port}','--no-open','--production']),
    marimo=('app.py', f'''import marimo
app = marimo.App()
@app.cell
def _():
    import marimo as mo, pandas as pd
    t = mo.ui.data_editor({TABLE}); t
    return mo, t
@app.cell
def _(mo, t): mo.md(str(len(t.value)))
if __name__=='__main__': app.run()''', ['{python}','-m','marimo','run','app.py','--headless','--port','{port}','--no-token']),
    voila=('app.ipynb', json.dumps(dict(cells=[dict(cell_type='code', id='a', metadata={}, outputs=[], execution_count=None, source=f"import ipywidgets as W, pandas as pd\nW.VBox([W.HTML({TABLE}.to_html()), W.Button(description='Look')])")],
        metadata=dict(kernelspec=dict(name='python3', display_name='python3', language='python')), nbformat=4, nbformat_minor=5)), ['{python}','-m','voila','app.ipynb','--no-browser','--port','{port}']))

def added(name, folder): # what pip would add here: packages, MB
    rep = folder/'report.json'
    pip = [sys.executable,'-m','pip','install','-q']
    subprocess.run([*pip,'--dry-run','--report',str(rep),name], check=True, capture_output=True)
    pkgs = [f"{i['metadata']['name']}=={i['metadata']['version']}" for i in json.loads(rep.read_text())['install']]
    subprocess.run([*pip,'--no-deps','--target',str(folder/'site'),*pkgs], check=True, capture_output=True)
    mb = sum(f.stat().st_size for f in (folder/'site').rglob('*') if f.is_file() and '__pycache__' not in f.parts)/1e6
    return dict(version=next(p for p in pkgs if p.lower().startswith(name)), packages=len(pkgs), mb=round(mb))

def answers(name, folder, seconds=120): # wall and CPU seconds until the page is served
    file,src,cmd = APPS[name]
    (folder/file).write_text(src)
    with socket.socket() as s: s.bind(('127.0.0.1',0)); port = s.getsockname()[1]
    env = os.environ | dict(PYTHONPATH=str(folder/'site'), GRADIO_ANALYTICS_ENABLED='False')
    t0 = time.time()
    with open(folder/'log','w') as log: p = subprocess.Popen([c.format(python=sys.executable, port=port) for c in cmd], cwd=folder, env=env, stdout=log, stderr=log)
    try:
        while time.time()-t0<seconds and p.poll() is None:
            try: urlopen(f'http://127.0.0.1:{port}/', timeout=seconds).read(); break
            except OSError: time.sleep(.05)
        else: return dict(wall_s=None, log=(folder/'log').read_text()[-300:])
        wall = time.time()-t0
        f = Path(f'/proc/{p.pid}/stat').read_text().rsplit(')',1)[1].split()
        return dict(wall_s=round(wall,1), cpu_s=round((int(f[11])+int(f[12]))/os.sysconf('SC_CLK_TCK'),1))
    finally: p.terminate(); p.wait(20)

@call_parse
def main(out:str='results/explore/frameworks.json'):
    res = {}
    for n in APPS:
        with tempfile.TemporaryDirectory() as d:
            res[n] = added(n, Path(d)) | {k:v for i in range(2) for k,v in answers(n, Path(d)).items()} # the second start, with compiled files
            print(n, res[n], flush=True)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(json.dumps(dict(added=res, load=os.getloadavg()[0], cores=os.cpu_count(), python=sys.version.split()[0]), indent=1)+'\n')

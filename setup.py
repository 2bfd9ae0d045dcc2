"Install the package: everything comes from settings.ini"
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup, find_packages

here = Path(__file__).parent
cp = ConfigParser(delimiters=['='])
cp.read(here/'settings.ini', encoding='utf-8')
cfg = cp['DEFAULT']

statuses = ['0 - none', '1 - Planning', '2 - Pre-Alpha', '3 - Alpha', '4 - Beta', '5 - Production/Stable', '6 - Mature', '7 - Inactive']
pythons = ['3.10', '3.11', '3.12', '3.13', '3.14']

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=(here/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    author=cfg['author'],
    author_email=cfg['author_email'],
    url=cfg['git_url'],
    keywords=cfg['keywords'],
    python_requires=f'>={cfg["min_python"]}',
    classifiers=[
        f'Development Status :: {statuses[int(cfg["status"])]}',
        f'Intended Audience :: {cfg["audience"]}',
        f'Natural Language :: {cfg["language"]}',
        *[f'Programming Language :: Python :: {v}' for v in pythons]],
    packages=find_packages(include=[cfg['lib_path'], f'{cfg["lib_path"]}.*']),
    include_package_data=True,
    install_requires=cfg['requirements'].split(),
    extras_require={k: cfg[f'{k}_requirements'].split() for k in ('dev', 'gym', 'studies', 'explore')},
    entry_points={
        'console_scripts': cfg['console_scripts'].split(),
        'nbdev': [f'{cfg["lib_path"]}={cfg["lib_path"]}._modidx:d']},
    zip_safe=False)

"""Packages of PyPI that programs often import: an import of one that is missing is no invention of a model's."""

_NAMES = """
aiohttp arrow atcoder=ac-library-python attr=attrs attrs bcrypt bintrees bitarray blist boto3 bs4=beautifulsoup4 cachetools chardet
charset_normalizer=charset-normalizer click colorama Crypto=pycryptodome cryptography cv2=opencv-python cvxopt cvxpy Cython=cython cytoolz
dask datasets dateutil=python-dateutil ddt diskcache django docx=python-docx faker fastapi flask freezegun frozendict gensim geopandas
gmpy2 graphviz html5lib httpx hypothesis imageio immutables jax jinja2 joblib jsonschema jwt=pyjwt keras lark lightgbm llist lxml markdown
markupsafe marshmallow matplotlib mock more_itertools=more-itertools mpmath msgpack nacl=pynacl networkx nltk numba numexpr numpy openpyxl
orjson ortools pandas paramiko parameterized parsimonious pendulum pexpect PIL=pillow plotly ply polars prettytable psutil
psycopg2=psycopg2-binary pulp pyarrow pydantic pygame pymongo pyparsing pypdf PyPDF2=pypdf2 pyproj pyrsistent pysat=python-sat pytest pytz
redis regex reportlab requests responses rich scipy seaborn shapely simplejson skimage=scikit-image sklearn=scikit-learn sly
sortedcollections sortedcontainers spacy sqlalchemy statsmodels sympy tabulate tensorflow termcolor tokenizers toml tomli tomlkit toolz
torch torchvision tqdm transformers typer tzlocal ujson unidecode xarray xgboost xlrd yaml=pyyaml z3=z3-solver
"""

KNOWN: dict[str, str] = dict((name.split("=") * 2)[:2] for name in _NAMES.split())
"""The package of each module."""

FIXTURES = {
    "aiohttp_client": "pytest-aiohttp",
    "benchmark": "pytest-benchmark",
    "datadir": "pytest-datadir",
    "event_loop": "pytest-asyncio",
    "faker": "faker",
    "freezer": "pytest-freezer",
    "fs": "pyfakefs",
    "httpserver": "pytest-httpserver",
    "httpx_mock": "pytest-httpx",
    "mocker": "pytest-mock",
    "requests_mock": "requests-mock",
    "snapshot": "syrupy",
}
"""The package of fixtures that tests often use."""

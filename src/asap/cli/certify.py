"""`asap certify`: whether training on pruned data is shown to be no worse than training on all of it."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from asap.cli.options import RUN
from asap.cli.result import show


def certify(
    *,
    full: Annotated[list[Path], Parameter(help="Evaluations of models trained on all data, each with another seed.", group=RUN)],
    pruned: Annotated[list[Path], Parameter(help="Evaluations of models trained on the pruned data, each with another seed.", group=RUN)],
    margin: Annotated[float, Parameter(help="How many points of Pass@1 worse is still good enough. There is no default.", group=RUN)],
    metric: Annotated[str | None, Parameter(help="Which metric of a log counts.", group=RUN)] = None,
    cluster: Annotated[str | None, Parameter(help="A column that problems which belong together share.", group=RUN)] = None,
    common: Annotated[bool, Parameter(negative="", help="Use only the benchmarks and problems that all have.", group=RUN)] = False,
    out: Annotated[Path | None, Parameter(help="Write certificate.json and certificate.md into this folder.", group=RUN)] = None,
) -> int:
    """Certify that training on pruned data is less than a margin worse, or say why that is not shown (exit code 1).

    With one training an arm, it can hold of this pair of models only, not of the data, which is exit code 1 as well.

    Example: asap certify --full full-1 --full full-2 --pruned pruned-1 --pruned pruned-2 --margin 2 --out certificate
    """
    from asap.atomic import replacing
    from asap.errors import UsageError
    from asap.evaluate.certificate import certificate, certificate_markdown, check_trainings
    from asap.evaluate.certify import certified
    from asap.evaluate.paired_run import read_run
    from asap.ownership import check_file

    if not 0 < margin < 100:
        raise UsageError(f"--margin is {margin:g}; it is in points of Pass@1, above 0 and below 100")
    if out is not None:
        check_file(out / "certificate.json", lambda head: head.startswith(b'{\n  "asap": "'), "certificate.json")
        check_file(out / "certificate.md", lambda head: head.startswith(b"# Certificate\n"), "certificate.md")
    arms = [[read_run(path, metric=metric, cluster=cluster) for path in paths] for paths in (full, pruned)]
    check_trainings(arms[0], arms[1])
    found = certificate(certified(arms[0], arms[1], margin / 100, common=common), arms[0], arms[1])
    show(certificate_markdown(found), **found)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        with replacing(out / "certificate.json") as file:
            json.dump(found, file, indent=2, ensure_ascii=False)
            file.write("\n")
        with replacing(out / "certificate.md") as file:
            file.write(certificate_markdown(found))
    return 0 if found["certified"] else 1

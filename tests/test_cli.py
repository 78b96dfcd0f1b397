"""The command line: what it prints, where, and with which exit code; mistakes are one line and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from archprof import __version__
from archprof.cli import main

ROOT = Path(__file__).parents[1]


@pytest.fixture
def cli(folder, monkeypatch: pytest.MonkeyPatch):
    """Run a command among the small specs; return exit code, standard output and standard error."""
    monkeypatch.chdir(folder)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str, **env: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(main, words, env=env, prog_name="archprof", catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    return run


def real(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(
        [sys.executable, "-m", "archprof", *words], env=environment, capture_output=True, text=True, check=False
    )


# -- what it prints ----------------------------------------------------------------------------------------------------


def test_a_pipe_gets_rows_and_a_file_of_any_name_is_a_model(cli) -> None:
    code, out, err = cli("show", "chain.yaml", "--columns", "params, macs")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "name\ttype\toutput_shape\tparams\tmacs",
        "conv\tConv2d\t1x4x6x6\t112\t3888",
        "relu\tReLU\t1x4x6x6\t0\t0",
        "flatten\tFlatten\t1x144\t0\t0",
        "fc\tLinear\t1x10\t1450\t1440",
    ]


def test_a_table_can_be_forced_and_keeps_to_the_columns_of_the_environment(cli) -> None:
    code, out, _ = cli("show", "resnet18", "--format", "table", COLUMNS="60")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 60


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("model", ["resnet18", "googlenet", "vit-b-16"])
def test_tables_keep_to_the_width_and_say_what_they_leave_out(width: int, model: str, cli) -> None:
    columns = ("params", "macs", "flops", "activation_bytes", "receptive_field")
    words = ("show", model, "--format", "table", "--columns", ",".join(columns))
    _, out, _ = cli(*words, COLUMNS=str(width))
    assert max(map(len, out.splitlines())) <= width
    heading = next(line for line in out.splitlines() if " layer " in line)
    missing = [name for name in ("output", *columns) if name not in heading.split()]
    told = " ".join(out.split("left out for lack of width:")[1:])
    assert all(name in told for name in missing)
    assert "params" in heading


@pytest.mark.parametrize("words", [["--columns", "mac"], ["--sort", "speed"], ["--path", "nowhere"]])
def test_wrong_names_are_told_before_anything_is_measured(words, cli, monkeypatch) -> None:
    monkeypatch.setattr("archprof.runs.measure.time", lambda *_, **__: pytest.fail("it was measured"))
    code, out, err = cli("show", "chain.yaml", "--time", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("words", "env", "colours"),
    [
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ([], {"FORCE_COLOR": "1", "TERM": "dumb"}, False),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
        ([], {"FORCE_COLOR": ""}, False),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        ([], {}, False),
    ],
)
def test_colour_follows_options_and_environment(words, env, colours, cli) -> None:
    _, out, _ = cli("show", "chain.yaml", "--format", "table", *words, **{"TERM": "xterm", **env})
    assert ("\x1b[" in out) == colours


def test_options_change_the_model(cli) -> None:
    _, out, _ = cli("show", "resnet18", "--set", "classes=10", "--batch", "2", "--input", "image=3x64x64", "--dtype",
                    "float16", "--format", "json")  # fmt: skip
    document = json.loads(out)
    assert document["inputs"] == {"image": {"shape": [2, 3, 64, 64], "dtype": "float16"}}
    assert document["totals"]["params"] == 11_689_512 - 990 * 513
    assert document["totals"]["param_bytes"] == 2 * document["totals"]["params"]


def test_several_models_follow_each_other(cli) -> None:
    code, out, _ = cli("show", "chain.yaml", "shared.yaml")
    assert code == 0
    assert [line.split("\t")[:2] for line in out.splitlines()] == [
        ["model", "name"], ["chain", "conv"], ["chain", "relu"], ["chain", "flatten"], ["chain", "fc"],
        ["shared", "first"], ["shared", "again"], ["shared", "last"],
    ]  # fmt: skip


def test_several_models_in_json_are_a_comparison(cli) -> None:
    code, out, err = cli("show", "chain.yaml", "shared.yaml", "--format", "json")
    assert (code, out) == (2, "")
    assert "compare --format json" in err
    code, out, _ = cli("compare", "chain.yaml", "shared.yaml", "--format", "json")
    assert [document["model"] for document in json.loads(out)] == ["chain", "shared"]


def test_one_wrong_model_prints_nothing_of_the_others(cli) -> None:
    code, out, err = cli("show", "chain.yaml", "nosuch")
    assert (code, out) == (2, "")
    assert err.startswith("error: there is no model 'nosuch'")


def test_the_lecture_is_one_command_each(cli) -> None:
    assert "28*28*192*5*5*32 = 120,422,400" in cli("explain", "inception-direct")[1]
    assert "12,443,648" in cli("explain", "inception-bottleneck")[1]
    assert "0.1033x" in cli("compare", "inception-direct", "inception-bottleneck", "--format", "table")[1]


@pytest.mark.parametrize("what", ["specs", "layers", "ops", "analyses", "formats", "devices"])
def test_lists_are_printed(what: str, cli) -> None:
    code, out, err = cli("list", what)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) > 5
    assert not out.startswith("\n")


def test_checks_pass_and_print_claims_beside_ours(cli) -> None:
    code, out, _ = cli("check", "resnet50", "chain.yaml")
    assert code == 0
    assert "resnet50: ok, 9 checks, 25.56 M parameters, 4.089 GMAC" in out
    assert "  macs: printed 4.089G, computed 4.089 G (+0.0%); torchvision" in out
    assert cli("check", "--quiet", "resnet50")[:2] == (0, "")


def test_a_check_that_fails_is_exit_code_1(cli, tmp_path) -> None:
    spec = tmp_path / "wrong.yaml"
    spec.write_text(
        "archprof: 1\nname: wrong\ninputs:\n  x: float32[4]\nsteps:\n  a: Linear(2)\nchecks:\n  - params == 11\n"
    )
    code, out, _ = cli("check", str(spec))
    assert code == 1
    assert "error[E601]: this check does not hold" in out
    assert "params is 10" in out
    assert "wrong: fails" in out


def test_a_file_is_checked_without_a_variant_and_with_each(cli, tmp_path) -> None:
    spec = tmp_path / "net.yaml"
    head = "archprof: 1\nname: net\ninputs:\n  x: float32[4]\nparams: {width: 2}\nvariants:\n  net-wide: {width: 3}\n"
    spec.write_text(head + "steps:\n  fc: Linear(width)\nchecks:\n  - out.shape == [3]\n")
    code, out, _ = cli("check", str(spec))
    assert code == 1
    assert [line for line in out.splitlines() if line.startswith("net")] == [
        "net: fails, 1 check, 10 parameters, 8 MAC",
        "net-wide: ok, 1 check, 15 parameters, 12 MAC",
    ]


def test_gaps_are_exit_code_1_only_where_it_is_strict(cli) -> None:
    assert cli("show", "gap.yaml")[0] == 0
    code, out, err = cli("show", "gap.yaml", "--strict")
    assert code == 1
    assert out.startswith("name\t")
    assert err == "gap: what.odd is unknown: no rule for 'mystery'\n"
    assert cli("show", "chain.yaml", "--strict")[0] == 0


def test_a_twin_is_verified(cli) -> None:
    pytest.importorskip("torchvision")
    code, out, _ = cli("verify", "resnet18", "--against", "torchvision:resnet18")
    assert code == 0
    assert "122 equal keys, outputs 1x1000 bit-equal" in out
    code, out, _ = cli("verify", "resnet18", "--set", "classes=10", "--against", "torchvision:resnet18")
    assert code == 1
    assert "2 keys of another shape: fc.weight, fc.bias" in out


def test_pictures_are_written_and_named_on_standard_error(cli, tmp_path) -> None:
    code, out, err = cli("draw", "chain.yaml", "-o", str(tmp_path / "a b.dot"))
    assert (code, out) == (0, "")
    assert err == f"wrote {tmp_path / 'a b.dot'}\n"
    assert cli("draw", "chain.yaml", "shared.yaml", "-o", f"{tmp_path}/new/folder/")[0] == 0
    assert sorted(path.name for path in (tmp_path / "new/folder").iterdir()) == ["chain.svg", "shared.svg"]


def test_pictures_of_models_of_one_name_are_all_written(cli, tmp_path) -> None:
    (tmp_path / "a").mkdir()
    for folder in (Path(), tmp_path / "a"):
        (tmp_path / folder / "same.yaml").write_text(Path("chain.yaml").read_text("utf-8"), "utf-8")
    code, _, err = cli("draw", str(tmp_path / "same.yaml"), str(tmp_path / "a/same.yaml"), "-o", f"{tmp_path}/out/")
    assert (code, err.count("wrote ")) == (0, 2)
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize("words", ["-o x.json", "-o x.graphml", "--format netron", "-o x.svg", "-o x.xlsx"])
def test_a_document_is_about_one_model(words: str, cli) -> None:
    code, _, err = cli("show", "chain.yaml", "shared.yaml", *words.split())
    assert code == 2
    assert "is about one model" in err


def test_a_total_is_held_against_every_model_and_a_change_against_all_but_the_first(cli) -> None:
    # resnet18 1.814 G, lenet5 416,520 MACs
    assert cli("compare", "resnet18", "lenet5", "--fail-over", "macs>1G")[0] == 1
    assert cli("compare", "resnet18", "lenet5", "--fail-over", "macs>+1%")[0] == 0
    assert cli("diff", "resnet18", "lenet5", "--fail-over", "macs>1G")[0] == 0
    code, _, err = cli("show", "lenet5", "resnet18", "--fail-over", "macs>1k")
    assert (code, err.count("error: macs>1k: ")) == (1, 2)


def test_columns_that_are_made_on_demand_are_there_beside_measured_ones(cli) -> None:
    words = ("--columns", "receptive_field,saved_bytes,measured_s", "--budget", "0.1", "--device", "cpu")
    code, out, _ = cli("time", "lenet5", *words)
    assert code == 0
    assert out.splitlines()[1].split("\t")[:5] == ["conv1", "Conv2d", "1x6x28x28", "5", "0"]
    assert cli("time", "lenet5", "--sort", "achieved_flops_per_s", "--budget", "0.1", "--device", "cpu")[0] == 0


def test_a_plot_of_the_receptive_field_is_checked_too(cli, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    code, out, _ = cli("field", "lenet5", "--check", "-o", str(tmp_path / "x.svg"))
    assert (code, out) == (0, "gradient check: 18 of 18 outputs see what is claimed\n")


# -- mistakes ----------------------------------------------------------------------------------------------------------

MISTAKES = [
    ("show nosuch", "error: there is no model 'nosuch'"),
    ("show resnet5", "did you mean 'resnet"),
    ("show nosuch.yaml", "error: there is no file 'nosuch.yaml'"),
    ("show chain.yaml:other", "chain has no variant 'other'"),
    ("show chain.yaml --format pdf", "there is no format 'pdf'; there are chrome-trace, csv"),
    ("show chain.yaml --columns mac", "there is no column 'mac'; did you mean 'macs'?"),
    ("show chain.yaml --sort mac", "there is no column 'mac'; did you mean 'macs'?"),
    ("show chain.yaml --path cnv", "chain has nothing at 'cnv'; did you mean 'conv'?"),
    ("show chain.yaml --batch 0", "0 is not in the range x>=1"),
    ("show chain.yaml --depth 0", "0 is not in the range x>=1"),
    ("show chain.yaml --top 0", "0 is not in the range x>=1"),
    ("show chain.yaml --input img=3x8x8", "the spec has no input 'img'"),
    ("show chain.yaml --input image=3xax8", "'3xax8' are not sizes such as 3x192x192"),
    ("show chain.yaml --input image=3x0x8", "the sizes of an input must be 1 or more"),
    ("show chain.yaml --input image=3x2x2", "Conv2d"),
    ("show chain.yaml --input image", "'image' is not name=3x224x224"),
    ("show resnet18 --set sizes=3", "the spec has no param 'sizes'"),
    ("show resnet18 --set size", "'size' is not name=value"),
    ("show resnet18 --set size=-3", "the sizes of an input must be 1 or more"),
    ("show resnet18 --set size=1+", "the expression ends too early"),
    ("show chain.yaml --dtype int8", "'int8' is not one of"),
    ("show chain.yaml --plugin nosuch.py", "error: there is no plug-in file '"),
    ("show chain.yaml --plugin chain.yaml", "is not a Python file"),
    ("explain chain.yaml cnv", "did you mean 'conv'?"),
    ("compare chain.yaml --columns mac", "did you mean 'macs'?"),
    ("compare chain.yaml --format pdf", "there is no comparison format 'pdf'"),
    ("check nosuch", "there is no model 'nosuch'"),
    ("verify chain.yaml --against tv:resnet18", "cannot compare with 'tv:resnet18': write torchvision:NAME"),
    (
        "verify chain.yaml --against torchvision:resnet19",
        "torchvision has no model 'resnet19'; did you mean 'resnet18'?",
    ),
    ("verify chain.yaml --against torchvision:alexnet", "torchvision:alexnet cannot take the inputs of chain (image"),
    ("verify chain.yaml --against torchvision:alexnet --tolerance -1", "-1.0 is not in the range x>=0"),
    (f"show {'x' * 300}.yaml", "error: there is no file 'xxx"),
    (f"show chain.yaml --plugin {'x' * 300}.py", "error: there is no plug-in file '"),
    (f"draw chain.yaml -o {'x' * 300}.dot", "File name too long"),
    (f"draw chain.yaml -o {'x' * 300}/y.dot", "there is no folder 'xxx"),
    ("draw chain.yaml -o x.gif", "a picture's name ends in .svg, .pdf, .png, .dot, .mmd, .tex, not '.gif'"),
    ("draw chain.yaml -o nosuch/x.svg", "there is no folder"),
    ("draw chain.yaml -o chain.yaml/", "cannot make the folder 'chain.yaml/': File exists"),
    ("draw chain.yaml shared.yaml -o x.svg", "several models need a folder"),
    ("draw chain.yaml -o x.dot --metric nope", "there is no diagram metric 'nope'"),
    ("list nosuch", "'nosuch' is not one of"),
    ("path chain.yaml --time --by nosuch", "there is no column 'nosuch'"),
    ("report chain.yaml --time --on nosuch -o x.html", "there is no device 'nosuch'"),
    ("report chain.yaml --time --accuracy nosuch=1 -o x.html", "there is no network in this report 'nosuch'"),
    ("show chain.yaml --format json -o nosuch/x.json", "there is no folder 'nosuch'"),
    ("calibrate -o nosuch/x.yaml", "there is no folder 'nosuch'"),
    ("show chain.yaml --columns nope --format netron", "there is no column 'nope'"),
    ("--nosuch", "error: no such option '--nosuch'; see archprof --help"),
    ("show", "error: missing argument 'MODEL...'; see archprof show --help"),
    ("show chain.yaml --nosuch", "error: no such option '--nosuch'"),
    ("show chain.yaml --columns live_byte", "there is no column 'live_byte'; did you mean 'live_bytes'?"),
    ("show chain.yaml --columns measured_s", "column 'measured_s' is measured, so it is there with --time"),
    ("show nets.py", "'nets.py' is Python: add the class or function that is the model, as in nets.py:Net"),
    ("show torch.nn:Linear", "torch.nn:Linear needs in_features, out_features (--set in_features=...)"),
    ("show torch.nn.functional:relu", "arguments where it makes one (--set input=...)"),
    ("show torch:conv2d", "'conv2d' is no Python function"),
    ("time chain.yaml --device x", "no device 'x' here: the usual ones are cpu, cuda, cuda:1 and mps"),
    ("nosuch", "error: no such command 'nosuch'"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=[words for words, _ in MISTAKES])
def test_a_mistake_is_told_on_standard_error_with_exit_code_2(words: str, message: str, cli) -> None:
    if "torchvision" in message:
        pytest.importorskip("torchvision", reason="torchvision is not installed")
    code, out, err = cli(*words.split())
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1 or ": error[" in err
    assert "Traceback" not in err
    if err.startswith("error: "):
        assert err.count("\n") == 1


def test_a_mistake_in_a_spec_is_shown_at_its_line(cli, tmp_path) -> None:
    spec = tmp_path / "my net.yaml"
    spec.write_text("archprof: 1\nname: net\ninputs:\n  x: float32[4]\nsteps:\n  a: Linaer(2)\n")
    code, _, err = cli("show", str(spec))
    assert code == 2
    assert err.splitlines()[0] == f"{spec}:6:6: error[E201]: there is no layer or block 'Linaer'"
    assert "did you mean 'Linear'?" in err


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_the_users_mistake(cli, tmp_path) -> None:
    tmp_path.chmod(0o500)
    code, _, err = cli("draw", "chain.yaml", "-o", str(tmp_path / "x.svg"))
    assert code == 2
    assert err.startswith("error: cannot write ")


# -- as a real command -------------------------------------------------------------------------------------------------


def test_the_real_command_says_its_version() -> None:
    found = real("--version")
    assert (found.returncode, found.stdout) == (0, f"archprof, version {__version__}\n")


def test_the_real_command_profiles_with_a_plug_in_in_plain_ascii(folder) -> None:
    plugin = str(Path(__file__).parent / "mystery.py")
    found = real(
        "compare", str(folder / "gap.yaml"), str(folder / "chain.yaml"), "--plugin", plugin, "--format", "table",
        PYTHONIOENCODING="ascii",
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (0, "")
    assert "! gap: 1 op unknown" in found.stdout


def test_a_plug_in_that_takes_our_name_is_the_users_mistake(tmp_path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("import archprof\n@archprof.layer\ndef Conv2d(x, /): ...\n")
    found = real("show", "lenet5", "--plugin", str(plugin))
    assert found.returncode == 2
    assert "there already is a layer 'Conv2d', from archprof.layers.window" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"'{sys.executable}' -m archprof list ops | head -n 1; echo ${{PIPESTATUS[0]}}"
    found = subprocess.run(["bash", "-c", command], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
                           text=True, check=True)  # fmt: skip
    assert found.stderr == ""
    assert found.stdout.splitlines()[-1] in {"0", "1"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_a_full_disk_is_said_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "archprof", "list", "formats"], env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (found.returncode, found.stderr) == (2, "error: the disk is full\n")

"""Over training: when did induction heads form, and what did the loss do then? Live while the runs train."""

import streamlit as st

from lmviz.compare import labels
from lmviz.runs import Run
from lmviz.ui.asking import asked
from lmviz.ui.attention.induction import CLEAR, Course, appearance, course, finding
from lmviz.ui.attention.names import head_name
from lmviz.ui.attention.pair import awaiting, beside, pair_buttons
from lmviz.ui.attention.scene import Scene
from lmviz.ui.chart import chart
from lmviz.ui.errors import markdown_safe
from lmviz.ui.figures.attention_training import HeadCourse, Losses, induction_figure
from lmviz.ui.i18n import _
from lmviz.ui.theme import plain

HEIGHT = 340


def training_part(scene: Scene) -> None:
    if awaiting():
        st.info(_("The two models wait for their turn to train; this page goes to them as soon as they begin."),
                icon=":material/hourglass_top:")  # fmt: skip
    if scene.kind != "gpt":
        st.info(_("Induction heads go on with a text, so they are looked for in GPTs: choose one, or train these."),
                icon=":material/info:")  # fmt: skip
        _meaning()
        pair_buttons(scene.run)
        return
    runs = beside(scene.run)
    found = [measured(run, name) for run, name in zip(runs, labels(runs), strict=True)]
    courses = [one for one in found if one]
    if courses:
        st.subheader(markdown_safe(finding(courses)), anchor=False)
    _meaning()
    if courses:
        _figures(scene, courses)
    pair_buttons(scene.run)


def _meaning() -> None:
    st.markdown(_(
        "An **induction head** looks for an earlier place with the token that is read now, and then at what came after"
        " it there: so it can go on with whatever repeats itself. It is measured on random tokens that come twice: the"
        " score is the mean attention that a token of the second half gives to the one after its first occurrence, from"
        " 0 to 1."
    ))  # fmt: skip


def measured(run: Run, name: str) -> Course | None:
    """What is kept of a run so far. While it moves each new moment is asked for alone, so that little is done twice."""
    steps = run.checkpoint_steps()
    if not steps:
        return None
    words = _("Measuring every kept moment")
    if not run.status().active:
        answer = asked("attention_history", words, run=run.id, until=steps[-1])
        return course(run, name, [answer]) if answer else None
    answers = [asked("attention_history", words, run=run.id, since=step, until=step) for step in steps]
    known = [answer for answer in answers if answer and answer["moments"]]
    return course(run, name, known) if known else None


def _figures(scene: Scene, courses: list[Course]) -> None:
    most = max((value for one in courses for losses in losses_of(one.run) for value in losses.values), default=1.0)
    for start in range(0, len(courses), 2):
        some = courses[start : start + 2]
        for column, one in zip(st.columns(len(some), gap="large"), some, strict=True):
            with column:
                _figure(scene, one, most, alone=len(courses) == 1)
    st.caption(_caption(courses))


def _figure(scene: Scene, one: Course, most: float, *, alone: bool) -> None:
    title = _("Induction score of every head, and the loss") if alone else f"{one.name} · {appearance(one)}"
    layers, heads = one.scores.shape[1:]
    lines = [
        HeadCourse(head_name(layer, head), layer, one.scores[:, layer, head].tolist())
        for layer in range(layers) for head in range(heads)
    ]  # fmt: skip
    layer, head = one.best
    words = _("heads of layer {layer}")
    training, validation = losses_of(one.run)
    figure = induction_figure(
        one.steps, lines, layer * heads + head, training, validation, one.uniform,
        scene.step if one.run.id == scene.run.id else min(scene.step, one.steps[-1]), most, title=plain(title),
        x=_("updates"), y=_("induction score"), y_loss=_("loss, nats a token"),
        layer_names=[words.format(layer=number + 1) for number in range(layers)],
        uniform_name=_("looking everywhere alike"), key=one.run.id,
    )  # fmt: skip
    chart(figure, f"attention_training_{one.run.id}", height=HEIGHT, csv=f"{one.run.id}-induction", alt=title)


def losses_of(run: Run) -> tuple[Losses, Losses]:
    """Training and held-out loss over the steps."""
    lines = run.metrics()
    found = []
    for name, key in ((_("training loss"), "train_loss"), (_("held-out loss"), "val_loss")):
        points = [(int(line["step"]), float(line[key])) for line in lines if line.get(key) is not None]
        found.append(Losses(name, [step for step, _value in points], [value for _step, value in points]))
    return found[0], found[1]


def _caption(courses: list[Course]) -> str:
    uniform = next((one.uniform for one in courses if one.uniform is not None), None)
    words = [_(
        "A line for each head at every kept moment (left axis), the thick one scores most at the end; dashed and dotted"
        " the loss (right axis); the upright line is the moment chosen above. From {clear} on a head is called an"
        " induction head, since the moment from which it stays above half of its last score."
    ).format(clear=CLEAR)]  # fmt: skip
    if uniform is not None:
        words.append(_("Looking everywhere alike scores {uniform}.").format(uniform=f"{uniform:.3f}"))
    if all(one.run.config().corpus.name == "repeat" for one in courses):
        words.append(
            _("The loss is that of the letters that can be known: from the second letter of the repetition on.")
        )
        if any(not one.found and otherwise(one.run) for one in courses):
            words.append(_(
                "Where the loss has fallen and no head scores, the model repeats in another way, such as by heads that"
                " look a fixed number of tokens back."
            ))  # fmt: skip
    return " ".join(words)


def otherwise(run: Run) -> bool:
    """Whether a run on repetition does most of it, by whatever means: less than half of the loss at first."""
    values = losses_of(run)[1].values
    return bool(values) and values[-1] < values[0] / 2

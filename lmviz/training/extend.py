"""Make a run that ended go on."""

from lmviz.errors import N_, RunError
from lmviz.runs import Run, append_line, write_json
from lmviz.settings import apply_settings


def reopen(run: Run, steps: int | None = None) -> None:
    """Put a run back into state queued, so that it can be started again, with a new number of steps if given.

    The learning-rate schedule is that of the new number of steps from here on.

    Raises:
        RunError: it is a sample, it has made that many steps already, or it cannot go on.
        ConfigError: the number of steps is impossible.
    """
    run.forbid_read_only()
    status = run.status()
    if run.is_locked():
        raise RunError(N_("The run {run} is being trained by another process."), run=run.id)
    if (status.steps if steps is None else steps) <= status.step:
        raise RunError(
            N_("The run {run} has made {step} steps. Give a larger number of steps to go on."),
            run=run.id, step=status.step,
        )  # fmt: skip
    config = run.config()
    branch = config.fork is not None and config.fork.step in run.checkpoint_steps()
    if status.step and run.resume_step() is None and config.model.kind != "ngram" and not branch:
        raise RunError(N_("The run {run} keeps no state to go on from. Start a new run instead."), run=run.id)
    if steps is not None:
        longer = apply_settings(config, [f"training.steps={steps}"])
        write_json(run.path / "config.json", longer.model_dump(mode="json"))
        event = {"step": status.step, "name": "steps", "value": steps, "before": config.training.steps}
        append_line(run.path / "events.jsonl", event)  # a fork from before this moment has the old schedule
        status.steps = steps
    status.state, status.error, status.crashes = "queued", None, 0
    status.patience_from, status.stopped_early = status.step, False
    run.write_status(status)

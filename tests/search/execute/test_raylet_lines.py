from ray._private import worker

from search.execute.raylet_lines import without_raylet_lines

LINE = {"lines": ["Raylet is terminated."], "pid": "raylet", "is_err": False}


def test_line_of_the_raylet_is_printed_outside_of_the_block_alone(capsys):
    with without_raylet_lines():
        worker.print_to_stdstream(LINE, ignore_prefix=False)
    assert "".join(capsys.readouterr()) == ""
    worker.print_to_stdstream(LINE, ignore_prefix=False)
    assert "Raylet is terminated" in "".join(capsys.readouterr())


def test_rays_listener_prints_through_the_name_that_is_replaced():
    assert "print_to_stdstream" in worker.listen_error_messages.__code__.co_names

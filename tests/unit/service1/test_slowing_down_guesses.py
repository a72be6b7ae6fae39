from microservice1.logic.guessing import SLOTS, Count, seconds_to_wait


def test_the_wait_doubles_after_the_free_tries_up_to_five_minutes():
    waits = [seconds_to_wait(failures, 10) for failures in range(22)]

    assert waits == [0] * 10 + [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert seconds_to_wait(10**9, 10) == 300


def test_there_are_as_many_slots_as_the_table_may_have_rows():
    slots = {Count(number.to_bytes(16), 10, True).slot for number in range(0, 2**128, 2**117)}

    assert slots <= set(range(SLOTS))

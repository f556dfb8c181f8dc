"""The checks of the exercises, a file for each lesson; that of `03_affordable_cut` is `lesson_03.affordable_cut`.

A check returns None for a right answer, else a hint. Where there is nothing to check, it raises `answers.Hint`.
"""

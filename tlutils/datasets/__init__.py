"""Labelled examples in one form, wherever they come from, and splits that cannot leak."""

from tlutils.datasets.catalogue import CATALOGUE, load
from tlutils.datasets.examples import Dataset, DoubtfulLabel, Sentences
from tlutils.datasets.folders import from_domain_folders, from_files, from_folder, own_pictures
from tlutils.datasets.practice import practice_folder
from tlutils.datasets.published import breast_ultrasound, review_sentences, spoken_digits
from tlutils.datasets.recordings import Recordings, UnreadableRecording, recordings_from_folder
from tlutils.datasets.reports import FolderNote, Report, Shortcut, UnreadablePicture
from tlutils.datasets.scenes import Scenes, weather_scenes
from tlutils.datasets.splits import Split, shared, split
from tlutils.datasets.tables import PassedOver, files_and_labels, from_csv, reviews

__all__ = [
    "CATALOGUE",
    "Dataset",
    "DoubtfulLabel",
    "PassedOver",
    "FolderNote",
    "Recordings",
    "Report",
    "Scenes",
    "Sentences",
    "Shortcut",
    "Split",
    "UnreadablePicture",
    "UnreadableRecording",
    "breast_ultrasound",
    "files_and_labels",
    "from_csv",
    "from_domain_folders",
    "from_files",
    "from_folder",
    "load",
    "own_pictures",
    "practice_folder",
    "recordings_from_folder",
    "review_sentences",
    "reviews",
    "shared",
    "split",
    "spoken_digits",
    "weather_scenes",
]

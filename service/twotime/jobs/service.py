"""The service: finds runs, queues analyses, watches over the processes that compute them."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import structlog
import yaml
from numpy.typing import NDArray
from pydantic import AnyHttpUrl, SecretStr

import twotime
from cnn_ed import Ensemble
from twotime.catalog import publish
from twotime.catalog.analyses import AnalysisRecord, AnalysisStore
from twotime.catalog.client import open_root, raw_catalog, results_container
from twotime.catalog.embedded import EmbeddedTiled
from twotime.catalog.runs import find_run, list_runs, run_facts
from twotime.catalog.watch import watch_runs
from twotime.errors import RecipeError, TiledUnavailable, TwotimeError, WeightsDamaged
from twotime.jobs.events import EventHub
from twotime.jobs.owner import this_process
from twotime.jobs.queue import Job, JobQueue
from twotime.jobs.recovery import Vigil
from twotime.jobs.rules import Verdict, judge
from twotime.jobs.worker import Worker
from twotime.metrics import Metrics
from twotime.pipeline import plan
from twotime.recipe import Recipe, RunFacts, analysis_id, digest, parse_recipe
from twotime.settings import Settings


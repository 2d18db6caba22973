"""Examples for clusters: what they start is what the runbook says of workers."""

import runpy
from pathlib import Path

import yaml
from dask_jobqueue import SLURMCluster

DASK = Path(__file__).parents[2] / "deploy" / "dask"


def test_slurm_job_starts_a_worker_that_computes_one_analysis_at_a_time(tmp_path: Path) -> None:
    options = runpy.run_path(str(DASK / "slurm.py"))["OPTIONS"]
    here = {
        "scheduler_options": {**options["scheduler_options"], "port": 0, "host": "127.0.0.1"},
        "log_directory": str(tmp_path),
    }

    with SLURMCluster(**{**options, **here}) as cluster:
        script = cluster.job_script()

    *directives, command = script.strip().splitlines()
    assert "#SBATCH --cpus-per-task=2" in directives
    assert "#SBATCH --mem=24G" in directives
    assert "export OMP_NUM_THREADS=2" in directives
    assert "-m distributed.cli.dask_worker tcp://127.0.0.1:" in command
    assert "--nthreads 1" in command
    # Dask takes the last of two limits.
    assert command.split("--memory-limit")[-1].split()[0] == "0"


def test_kubernetes_cluster_has_a_scheduler_that_its_service_selects_and_workers_without_a_limit_of_dask() -> None:
    cluster = yaml.safe_load((DASK / "kubernetes.yml").read_text())
    scheduler, worker = cluster["spec"]["scheduler"], cluster["spec"]["worker"]
    (own,), (service_port,) = scheduler["spec"]["containers"], scheduler["service"]["ports"]
    (container,) = worker["spec"]["containers"]

    assert (cluster["apiVersion"], cluster["kind"]) == ("kubernetes.dask.org/v1", "DaskCluster")
    assert own["ports"][0]["name"] == service_port["targetPort"] == own["readinessProbe"]["tcpSocket"]["port"]
    assert str(service_port["port"]) in own["args"]
    assert scheduler["service"]["selector"]["dask.org/cluster-name"] == cluster["metadata"]["name"]
    assert container["args"][:2] == ["dask", "worker"]
    assert container["args"][container["args"].index("--nthreads") + 1] == "1"
    assert container["args"][container["args"].index("--memory-limit") + 1] == "0"
    assert own["image"] == container["image"]
    volumes = {volume["name"] for volume in worker["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes

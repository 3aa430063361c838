"""Sweeps over models and strategies: resumable, on local processes or a Dask cluster."""

"""The archive: streams of the store as Parquet files, in a folder or an object store, written once and readable by anything."""

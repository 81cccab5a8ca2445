"""A note of the last batch that both topics got, on whatever file system the checkpoint is."""

from typing import Any

from pyspark.sql import SparkSession


class Note:
    """One line of text in a folder that Hadoop can write: local, HDFS or an object store."""

    def __init__(self, spark: SparkSession, folder: str) -> None:
        jvm: Any = spark._jvm
        self._folder = jvm.org.apache.hadoop.fs.Path(folder)
        self._path = jvm.org.apache.hadoop.fs.Path(folder, "fed")
        self._files = self._folder.getFileSystem(spark._jsc.hadoopConfiguration())
        self._jvm = jvm

    def read(self) -> str:
        """Return the note, empty where there is none."""
        if not self._files.exists(self._path):
            return ""
        stream = self._files.open(self._path)
        try:
            return bytes(stream.readAllBytes()).decode()
        finally:
            stream.close()

    def write(self, text: str) -> None:
        """Replace the note. One that a kill cut short reads as another batch, which is then sent again."""
        stream = self._files.create(self._path, True)
        try:
            stream.write(text.encode())
        finally:
            stream.close()

    def delete_beside(self, name: str) -> None:
        """Delete a folder beside the note."""
        self._files.delete(self._jvm.org.apache.hadoop.fs.Path(self._folder, name), True)

"""The apps of the installed fedaffect under the names that Flower looks up."""

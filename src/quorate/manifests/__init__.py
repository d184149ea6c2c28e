"""Static pod manifests and the users' patches of them. Pure: other packages write the files."""

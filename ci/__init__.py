"""What the scripts in this folder cannot say in shell: which stacks changed, what GitHub is told."""

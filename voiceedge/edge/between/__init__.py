"""What the processes of one service have between them: links, paths, signs of life."""

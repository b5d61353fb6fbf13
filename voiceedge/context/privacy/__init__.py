"""What is personal: its classes, how it is recognised in free text and masked, and the secret keys it takes."""

"""The microservice chassis: everything a service needs that has nothing to do with what the service is about."""
